package keeper

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	clientv3 "go.etcd.io/etcd/client/v3"

	"longlink/pkg/api"
	"longlink/pkg/cluster"
	"longlink/pkg/config"
)

// follow makes a client whose holds last a given time.
func (w *world) follow(t *testing.T, hold time.Duration) *Client {
	t.Helper()
	cfg := testConfig(w)
	cfg.ShrinkHold = config.Duration(hold)
	c, err := Connect(t.Context(), cfg, Options{Member: w.member, Registry: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	run(t, c)
	return c
}

// crashable puts n rooms into the registry whose processes can be ended alike.
func crashable(t *testing.T, c *Client, n int) (crash func(ids ...string)) {
	t.Helper()
	leases := map[string]clientv3.LeaseID{}
	for _, id := range names(n) {
		lease, err := c.etcd.Grant(t.Context(), 60)
		if err != nil {
			t.Fatal(err)
		}
		i := room(id)
		i.Epoch, i.State = 1, cluster.Ready
		if err := c.Announce(i).put(t.Context(), lease.ID); err != nil {
			t.Fatal(err)
		}
		leases[id] = lease.ID
	}
	return func(ids ...string) {
		t.Helper()
		for _, id := range ids {
			if _, err := c.etcd.Revoke(t.Context(), leases[id]); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func holds(t *testing.T, c *Client, want ...string) {
	t.Helper()
	eventually(t, fmt.Sprintf("held are %v", want), func() bool {
		_, held := shown(c.Views().View())
		return slices.Equal(held, want)
	})
}

func recorded(t *testing.T, c *Client, want bool) {
	t.Helper()
	eventually(t, fmt.Sprintf("a record is there: %v", want), func() bool {
		resp, err := c.etcd.Get(t.Context(), heldPrefix+"room")
		return err == nil && (len(resp.Kvs) == 1) == want
	})
}

func TestMassDisappearanceIsHeld(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		a, b := w.follow(t, time.Minute), w.follow(t, time.Minute)
		crash := crashable(t, a, 5)
		for _, id := range names(5) {
			sees(t, a, id, true)
			sees(t, b, id, true)
		}
		crash("r0", "r1", "r2", "r3")
		holds(t, a, "r0", "r1", "r2", "r3")
		holds(t, b, "r0", "r1", "r2", "r3")
		if n := gauge(t, b.metrics.held.WithLabelValues("room")); n != 4 {
			t.Errorf("the metric says %v", n)
		}
		s := &server{views: b.Views(), loads: newLoads(prometheus.NewRegistry()), now: time.Now}
		reply, err := s.Services(t.Context(), &api.ServicesRequest{Kind: "room"})
		if err != nil || len(reply.Instances) != 5 || reply.Instances[0].State != "held" || reply.Instances[4].State != "ready" {
			t.Errorf("%v %v", reply, err)
		}
		run(t, b.Announce(room("fresh")))
		if i := sees(t, a, "fresh", true); i.Held {
			t.Error("a fresh one is held")
		}
		recorded(t, a, true)
		late := w.follow(t, time.Minute) // saw nothing vanish
		holds(t, late, "r0", "r1", "r2", "r3")

		for _, id := range names(4)[1:] {
			run(t, a.Announce(room(id)))
		}
		holds(t, late, "r0")
		run(t, a.Announce(room("r0")))
		for _, c := range []*Client{a, b, late} {
			holds(t, c)
			sees(t, c, "r0", true)
		}
		recorded(t, a, false)
	})
}

func TestHoldEndsWithItsLease(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		a, b := w.follow(t, 2*time.Second), w.follow(t, 2*time.Second)
		crash := crashable(t, a, 4)
		for _, id := range names(4) {
			sees(t, b, id, true)
		}
		crash(names(4)...)
		holds(t, b, names(4)...)
		during := b.Views().View().Revision
		for _, c := range []*Client{a, b} {
			holds(t, c)
			sees(t, c, "r0", false)
		}
		if b.Views().View().Revision <= during {
			t.Error("the end of a hold has no revision of its own")
		}
	})
}

func TestStoppedOnesAreNotHeld(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		c := w.follow(t, time.Minute)
		parts := make([]*part, 5)
		for n, id := range names(5) {
			parts[n] = run(t, c.Announce(room(id)))
			sees(t, c, id, true)
		}
		for _, p := range parts[1:] {
			p.end(t)
		}
		for _, id := range names(5)[1:] {
			sees(t, c, id, false)
		}
		sees(t, c, "r0", true)
		holds(t, c)
	})
}

// TestHeldInstanceAnnouncesItself: the view shows a living instance whose key
// was lost, which must not make it believe that it is in the registry.
func TestHeldInstanceAnnouncesItself(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		c := w.follow(t, time.Minute)
		for _, id := range names(4) {
			run(t, c.Announce(room(id)))
			sees(t, c, id, true)
		}
		if _, err := c.etcd.Delete(t.Context(), instancesPrefix+"room/", clientv3.WithPrefix()); err != nil {
			t.Fatal(err)
		}
		eventually(t, "all are back", func() bool {
			resp, err := c.etcd.Get(context.Background(), instancesPrefix+"room/", clientv3.WithPrefix())
			ids, held := shown(c.Views().View())
			return err == nil && len(resp.Kvs) == 4 && len(ids) == 4 && held == nil
		})
		recorded(t, c, false)
	})
}

// TestHoldDuringAnOutage: etcd dies between the shrink and its record.
func TestHoldDuringAnOutage(t *testing.T) {
	outages(t, func(t *testing.T, w *world) {
		a := w.follow(t, time.Minute)
		crash := crashable(t, a, 4)
		for _, id := range names(4) {
			sees(t, a, id, true)
		}
		crash("r0", "r1", "r2")
		holds(t, a, "r0", "r1", "r2")
		w.kill()
		eventually(t, "the outage shows in the age", func() bool { return a.Age() > 500*time.Millisecond })
		holds(t, a, "r0", "r1", "r2")
		w.start()
		eventually(t, "contact is back", func() bool { return a.Age() < 500*time.Millisecond })
		recorded(t, a, true)
		holds(t, w.follow(t, time.Minute), "r0", "r1", "r2")
	})
}

func gauge(t *testing.T, g prometheus.Gauge) float64 {
	t.Helper()
	var m dto.Metric
	if err := g.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetGauge().GetValue()
}
