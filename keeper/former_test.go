package keeper

import (
	"fmt"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"longlink/pkg/cluster"
)

// TestAFormerLifeIsBuried: a process was killed, and starts again under other ids
// while the leases of its last life live.
func TestAFormerLifeIsBuried(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		last := w.client(t)
		const dead = 6 // more than half, and enough to be held had they just vanished
		lease, err := last.etcd.Grant(t.Context(), 60)
		if err != nil {
			t.Fatal(err)
		}
		for n := range dead {
			i := room(fmt.Sprintf("r%d", n))
			i.State, i.RPC = cluster.Ready, "inproc/room/"+i.ID
			if _, err := last.etcd.Put(t.Context(), instanceKey(i.Kind, i.ID), encode(i), clientv3.WithLease(lease.ID)); err != nil {
				t.Fatal(err)
			}
		}
		run(t, last.Announce(room("other")))
		last.settle(t.Context(), last.views.follower, last.newest.Load())

		c := w.connect(t)
		if n := len(c.Views().View().Kind(cluster.Room)); n != dead+1 {
			t.Fatalf("%d rooms before", n)
		}
		if err := c.Bury(t.Context(), "inproc/"); err != nil {
			t.Fatal(err)
		}
		// At once: a service that starts now has never met them.
		if all := c.Views().View().Kind(cluster.Room); len(all) != 1 || all[0].ID != "other" {
			t.Errorf("left: %v", all)
		}
		// Their keys end with their leases.
		resp, err := c.etcd.Get(t.Context(), instanceKey(cluster.Room, "r0"))
		if err != nil || len(resp.Kvs) != 1 || resp.Kvs[0].Lease != int64(lease.ID) {
			t.Errorf("the key: %v, %v", resp, err)
		}
		if err := c.Bury(t.Context(), "inproc/"); err != nil {
			t.Errorf("nothing to bury: %v", err)
		}
	})
}
