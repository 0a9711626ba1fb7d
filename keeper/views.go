package keeper

import (
	"encoding/json"
	"fmt"

	"go.etcd.io/etcd/api/v3/mvccpb"

	"longlink/pkg/cluster"
)

// views makes the registry's instances a cluster.View at etcd's revision.
type views struct {
	holder   *cluster.Holder
	follower *follower[cluster.Instance]
	metrics  *metrics

	// Owned by apply. etcd's revision falls when its data was replaced; a
	// view's never does, or everybody would stay with the old one.
	last   int64
	offset uint64
}

func (v *views) init(c *Client) {
	v.holder = cluster.NewHolder()
	v.metrics = c.metrics
	v.follower = newFollower(c, instancesPrefix, parseInstance, v.apply)
}

// View is the current one.
func (v *views) View() *cluster.View { return v.holder.View() }

func parseInstance(kv *mvccpb.KeyValue) (i cluster.Instance, err error) {
	if err = json.Unmarshal(kv.Value, &i); err != nil {
		return i, err
	}
	if want := instanceKey(i.Kind, i.ID); want != string(kv.Key) {
		return i, fmt.Errorf("it describes %s", want)
	}
	return i, nil
}

func (v *views) apply(revision int64, all map[string]cluster.Instance) {
	if revision < v.last {
		v.offset += uint64(v.last-revision) + 1
	}
	v.last = revision
	list := make([]cluster.Instance, 0, len(all))
	for _, i := range all {
		list = append(list, i)
	}
	view := cluster.NewView(uint64(revision)+v.offset, list)
	v.holder.Set(view)
	for _, k := range cluster.Kinds {
		v.metrics.instances.WithLabelValues(string(k)).Set(float64(len(view.Kind(k))))
	}
}
