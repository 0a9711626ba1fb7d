package keeper

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"longlink/pkg/cluster"
)

// record is a hold as etcd has it, under a lease that nobody keeps alive: the
// hold ends with it at one revision for everybody, whoever dies meanwhile.
type record struct {
	Kind      cluster.Kind       `json:"kind"`
	Instances []cluster.Instance `json:"instances"` // by id

	revision int64            // of its key
	lease    clientv3.LeaseID // its end
}

func (r *record) byID() map[string]cluster.Instance {
	m := make(map[string]cluster.Instance, len(r.Instances))
	for _, i := range r.Instances {
		m[i.ID] = i
	}
	return m
}

// entry is one key below the instances' prefix: an instance, or a hold.
type entry struct {
	inst cluster.Instance
	hold *record
}

// Holds lie beside the instances: both are one history, read by one follower.
func parseEntry(kv *mvccpb.KeyValue) (e entry, err error) {
	kind, ok := strings.CutPrefix(string(kv.Key), heldPrefix)
	if !ok {
		e.inst, err = parseInstance(kv)
		return e, err
	}
	e.hold = &record{revision: kv.ModRevision, lease: clientv3.LeaseID(kv.Lease)}
	if err = json.Unmarshal(kv.Value, e.hold); err == nil && string(e.hold.Kind) != kind {
		err = fmt.Errorf("it describes a hold of kind %q", e.hold.Kind)
	}
	return e, err
}

// recordSpread is the longest random wait before a process writes a record that
// all processes of a cluster want to write; most then find it written.
const recordSpread = time.Second

// order is a record to be written: made, changed, or deleted when nobody is
// held any more.
type order struct {
	kind      cluster.Kind
	instances []cluster.Instance
	was       *record
}

// orders are those that are due now.
func (v *views) orders() (out []order) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, k := range cluster.Kinds {
		s := v.shrinks[k]
		if s == nil {
			continue
		}
		if list, recorded := s.wanted(); !recorded {
			out = append(out, order{k, list, s.rec})
		}
	}
	return out
}

// recordHolds brings the records in etcd to what this process sees, until ctx
// ends. A record that cannot be written is tried again for as long as it is
// wanted; the hold lasts meanwhile.
func (c *Client) recordHolds(ctx context.Context) error {
	pause := newPause()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-c.views.unrecorded:
		}
		delay := rand.N(recordSpread)
		for {
			if !wait(ctx, delay) {
				return nil
			}
			var failed error
			for _, o := range c.views.orders() {
				if err := c.write(ctx, o); err != nil {
					failed = err
				}
			}
			if failed == nil {
				pause.Reset()
				break
			}
			c.log.Debug("a hold could not be recorded, trying again", "err", failed)
			delay = pause.NextBackOff()
		}
	}
}

// write carries an order out unless somebody else has changed the record: that
// shows in the view, and an order that is still needed comes again.
func (c *Client) write(ctx context.Context, o order) error {
	key := heldPrefix + string(o.kind)
	unchanged := missing(key)
	if o.was != nil {
		unchanged = clientv3.Compare(clientv3.ModRevision(key), "=", o.was.revision)
	}
	value := encode(record{Kind: o.kind, Instances: o.instances})
	switch {
	case len(o.instances) == 0:
		_, err := c.txn(ctx, []clientv3.Cmp{unchanged}, clientv3.OpDelete(key))
		return err
	case o.was != nil:
		_, err := c.txn(ctx, []clientv3.Cmp{unchanged}, clientv3.OpPut(key, value, clientv3.WithLease(o.was.lease)))
		return err
	}
	lease := c.newLease()
	defer lease.Close()
	gctx, cancel := context.WithTimeout(ctx, c.cfg.RequestTimeout.Std())
	defer cancel()
	grant, err := lease.Grant(gctx, seconds(c.cfg.ShrinkHold))
	if err != nil {
		return err
	}
	resp, err := c.txn(ctx, []clientv3.Cmp{unchanged}, clientv3.OpPut(key, value, clientv3.WithLease(grant.ID)))
	if err == nil && !resp.Succeeded {
		_, err = lease.Revoke(gctx, grant.ID)
	}
	return err
}
