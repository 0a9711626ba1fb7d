package keeper

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"

	"longlink/pkg/cluster"
)

// views makes the registry's instances a cluster.View at etcd's revision.
type views struct {
	holder   *cluster.Holder
	follower *follower[entry]
	metrics  *metrics
	log      *slog.Logger
	cfg      Config
	now      func() time.Time
	// unrecorded, capacity 1, is filled while a hold's record must be written.
	unrecorded chan struct{}

	// Owned by apply. etcd's revision falls when its data was replaced; a
	// view's never does, or everybody would stay with the old one.
	last   int64
	offset uint64

	relist  func(ctx context.Context) error // set by init
	resting atomic.Int64                    // until when Relist fails at once, unix ns

	mu      sync.Mutex
	shrinks map[cluster.Kind]*shrink // guarded by mu
}

func (v *views) init(c *Client) {
	v.prepare(c.cfg, c.metrics, c.log)
	v.follower = newFollower(c, instancesPrefix, parseEntry, v.apply)
	v.relist = func(ctx context.Context) error {
		return c.whenFollowed(ctx, v.follower.list, v.follower.anew)
	}
}

func (v *views) prepare(cfg Config, m *metrics, log *slog.Logger) {
	v.holder, v.cfg, v.metrics, v.log, v.now = cluster.NewHolder(), cfg, m, log, time.Now
	v.unrecorded = make(chan struct{}, 1)
	v.shrinks = map[cluster.Kind]*shrink{}
	for _, k := range cluster.Kinds {
		v.shrinks[k] = &shrink{window: cfg.ShrinkWindow.Std(), off: cfg.ShrinkHold == 0}
	}
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
	i.Entered = kv.CreateRevision
	return i, nil
}

func (v *views) apply(revision int64, all map[string]entry) {
	if revision < v.last {
		v.offset += uint64(v.last-revision) + 1
	}
	v.last = revision
	listed := map[cluster.Kind]map[string]cluster.Instance{}
	holds := map[cluster.Kind]*record{}
	list := make([]cluster.Instance, 0, len(all))
	for _, e := range all {
		switch {
		case e.hold != nil:
			holds[e.hold.Kind] = e.hold
		default:
			i := e.inst
			if listed[i.Kind] == nil {
				listed[i.Kind] = map[string]cluster.Instance{}
			}
			listed[i.Kind][i.ID] = i
			if i.State != left {
				list = append(list, i)
			}
		}
	}
	list = append(list, v.guard(listed, holds)...)
	view := v.View().Next(uint64(revision)+v.offset, list)
	view.Prepare(cluster.Saver, cluster.Register, cluster.Coordinator) // here, not on an event loop
	v.holder.Set(view)
	for _, k := range cluster.Kinds {
		v.metrics.instances.WithLabelValues(string(k)).Set(float64(len(view.Kind(k))))
	}
}

// guard returns the instances that are held although the registry lacks them.
func (v *views) guard(listed map[cluster.Kind]map[string]cluster.Instance, holds map[cluster.Kind]*record) (held []cluster.Instance) {
	now := v.now()
	v.mu.Lock()
	defer v.mu.Unlock()
	due := false
	for k, s := range v.shrinks {
		before := len(s.held)
		after := s.see(now, listed[k], holds[k])
		for _, i := range after {
			i.Held = true
			held = append(held, i)
		}
		v.metrics.held.WithLabelValues(string(k)).Set(float64(len(after)))
		switch {
		case before == 0 && len(after) > 0:
			v.log.Warn("more than half of a kind vanished from the registry at once: its last state is held",
				"kind", string(k), "held", len(after), "listed", len(listed[k]), "for", v.cfg.ShrinkHold)
		case before > 0 && len(after) == 0:
			v.log.Info("nothing of a kind is held any more", "kind", string(k), "was", before, "listed", len(listed[k]))
		}
		_, recorded := s.wanted()
		due = due || !recorded
	}
	if due {
		select {
		case v.unrecorded <- struct{}{}:
		default:
		}
	}
	return held
}
