package keeper

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	clientv3 "go.etcd.io/etcd/client/v3"

	"longlink/pkg/cluster"
	"longlink/pkg/code"
	"longlink/pkg/testenv"
)

func TestAnnounce(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		a, b := w.client(t), w.client(t)
		before := uint64(time.Now().UnixMilli())
		ann := a.Announce(room("r1"))
		p := run(t, ann)
		got := sees(t, b, "r1", true)
		if got.Epoch < before || got.State != cluster.Ready || got.Epoch != ann.Instance().Epoch {
			t.Errorf("b sees %+v, announced %+v", got, ann.Instance())
		}
		ann.SetState(cluster.Draining)
		eventually(t, "draining seen", func() bool { return sees(t, b, "r1", true).State == cluster.Draining })
		rev := b.Views().View().Revision
		p.end(t)
		sees(t, b, "r1", false) // at once, not by its lease
		if b.Views().View().Revision <= rev {
			t.Error("the view's revision did not grow")
		}
		second := a.Announce(room("r1"))
		run(t, second)
		if e := second.Instance().Epoch; e <= got.Epoch {
			t.Errorf("epoch %d after %d", e, got.Epoch)
		}
	})
}

func TestKilledProcessLeavesByItsLease(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		a, b := w.connect(t), w.client(t)
		// The process dies: nobody keeps the lease, nobody revokes it.
		lease, err := a.etcd.Grant(t.Context(), 2)
		if err != nil {
			t.Fatal(err)
		}
		i := room("r1")
		i.Epoch, i.State = 7, cluster.Ready
		dead := a.Announce(i)
		if err := dead.put(t.Context(), lease.ID); err != nil {
			t.Fatal(err)
		}
		sees(t, b, "r1", true)
		sees(t, b, "r1", false)
	})
}

func TestRestartOverwritesTheDeadOne(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		a, b := w.client(t), w.client(t)
		old := a.Announce(room("r1"))
		p := run(t, old)
		next := b.Announce(room("r1"))
		run(t, next)
		var taken *TakenOverError
		if err := <-p.err; !errors.As(err, &taken) || taken.Epoch != next.Instance().Epoch {
			t.Errorf("the older one ended with %v", err)
		}
		if got := sees(t, a, "r1", true); got.Epoch != next.Instance().Epoch {
			t.Errorf("view has epoch %d, want %d", got.Epoch, next.Instance().Epoch)
		}
		i := room("r1")
		i.Epoch = 5 // an epoch from long ago
		if err := a.Announce(i).Run(t.Context(), func() { t.Error("ready") }); !errors.As(err, &taken) {
			t.Errorf("an old epoch was announced: %v", err)
		}
	})
}

func TestEpochsGrow(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		c := w.connect(t)
		// The clock went back since the last life.
		future := uint64(time.Now().Add(time.Hour).UnixMilli())
		if _, err := c.etcd.Put(t.Context(), epochKey(cluster.Room, "r1"), "99999999999999"); err != nil {
			t.Fatal(err)
		}
		e1, err1 := c.Epoch(t.Context(), cluster.Room, "r1")
		e2, err2 := c.Epoch(t.Context(), cluster.Room, "r1")
		if err1 != nil || err2 != nil || e1 < future || e2 != e1+1 {
			t.Errorf("%d %v, %d %v", e1, err1, e2, err2)
		}
		if _, err := c.Epoch(t.Context(), cluster.Room, "a/b"); err == nil {
			t.Error("an id with a slash was taken")
		}
	})
}

func TestLostLeaseIsReplacedUnderTheSameEpoch(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		a, b := w.client(t), w.client(t)
		ann := a.Announce(room("r1"))
		run(t, ann)
		first := sees(t, b, "r1", true)
		key := instanceKey(cluster.Room, "r1")
		got, err := a.etcd.Get(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		lease := got.Kvs[0].Lease
		if _, err := a.etcd.Revoke(t.Context(), clientv3.LeaseID(lease)); err != nil {
			t.Fatal(err)
		}
		eventually(t, "announced under another lease", func() bool {
			got, err := a.etcd.Get(t.Context(), key)
			return err == nil && len(got.Kvs) == 1 && got.Kvs[0].Lease != lease
		})
		if again := sees(t, b, "r1", true); again.Epoch != first.Epoch {
			t.Errorf("epoch %d became %d", first.Epoch, again.Epoch)
		}
	})
}

func TestDeletedKeyComesBack(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		a, b := w.client(t), w.client(t)
		run(t, a.Announce(room("r1")))
		sees(t, b, "r1", true)
		rev := b.Views().View().Revision
		if _, err := b.etcd.Delete(t.Context(), instanceKey(cluster.Room, "r1")); err != nil {
			t.Fatal(err)
		}
		eventually(t, "it came back", func() bool { return b.Views().View().Revision >= rev+2 })
		sees(t, b, "r1", true)
	})
}

func TestWatchAfterCompaction(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		a, late := w.client(t), w.connect(t)
		for range 3 {
			p := run(t, a.Announce(room("gone")))
			p.end(t)
		}
		run(t, a.Announce(room("r1")))
		resp, err := a.etcd.Get(t.Context(), secretsKey)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.etcd.Compact(t.Context(), resp.Header.Revision); err != nil {
			t.Fatal(err)
		}
		run(t, late) // its next revision is compacted
		sees(t, late, "r1", true)
		run(t, a.Announce(room("r2")))
		sees(t, late, "r2", true)
	})
}

func TestBrokenKeysAreLeftOut(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		c := w.client(t)
		for _, key := range []string{instancesPrefix + "room/x", productsPrefix + "x", instancesPrefix} {
			if _, err := c.etcd.Put(t.Context(), key, `{"name":`); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := c.etcd.Put(t.Context(), instancesPrefix+"room/y", `{"kind":"room","id":"z"}`); err != nil {
			t.Fatal(err)
		}
		run(t, c.Announce(room("r1")))
		sees(t, c, "r1", true)
		if n := len(c.Views().View().All()); n != 1 {
			t.Errorf("%d instances", n)
		}
	})
}

func TestEtcdKilledAndRestarted(t *testing.T) {
	outages(t, func(t *testing.T, w *world) {
		a, b := w.client(t), w.client(t)
		ann := a.Announce(room("r1"))
		run(t, ann)
		first := sees(t, b, "r1", true)
		if _, _, err := a.CreateProduct(t.Context(), "shop"); err != nil {
			t.Fatal(err)
		}
		eventually(t, "b has the product", func() bool { _, ok := b.Directory().Product("shop"); return ok })

		w.kill()
		eventually(t, "the outage shows in the age", func() bool { return b.Age() > 500*time.Millisecond })
		if _, ok := b.Views().View().Get(cluster.Room, "r1"); !ok {
			t.Error("the view was not kept")
		}
		if _, ok := b.Directory().Product("shop"); !ok {
			t.Error("the directory was not kept")
		}
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		if _, _, err := b.CreateProduct(ctx, "other"); err == nil {
			t.Error("a product was created without etcd")
		}
		cancel()
		ann.SetState(cluster.Draining) // while nobody can be told

		w.start()
		eventually(t, "contact is back", func() bool { return b.Age() < 500*time.Millisecond })
		eventually(t, "the new state arrives", func() bool {
			i, ok := b.Views().View().Get(cluster.Room, "r1")
			return ok && i.State == cluster.Draining && i.Epoch == first.Epoch
		})
		run(t, b.Announce(room("r2")))
		sees(t, a, "r2", true)
	})
}

func TestOutageLongerThanTheLease(t *testing.T) {
	outages(t, func(t *testing.T, w *world) {
		a, b := w.client(t), w.client(t)
		run(t, a.Announce(room("r1")))
		first := sees(t, b, "r1", true)
		w.kill()
		eventually(t, "the outage outlives the lease", func() bool { return b.Age() > 4*time.Second })
		w.start()
		got, err := a.etcd.Grant(t.Context(), 60) // proves that writes work again
		if err != nil || got.ID == 0 {
			t.Fatal(err)
		}
		eventually(t, "registered again with the same epoch", func() bool {
			resp, err := b.etcd.Get(t.Context(), instanceKey(cluster.Room, "r1"))
			if err != nil || len(resp.Kvs) == 0 {
				return false
			}
			i, err := parseInstance(resp.Kvs[0])
			return err == nil && i.Epoch == first.Epoch && resp.Kvs[0].Lease != 0
		})
		sees(t, b, "r1", true)
	})
}

// TestEtcdLosesItsData: a watch from the old revision would be silent, and a
// view of a lower revision ignored.
func TestEtcdLosesItsData(t *testing.T) {
	o := EmbeddedOptions{Dir: t.TempDir()}
	m := startMember(t, o)
	o.Client = m.Addr()
	w := &world{endpoints: []string{m.Addr()}}
	a, b := w.client(t), w.client(t)
	run(t, a.Announce(room("r1")))
	first := sees(t, b, "r1", true)
	for _, name := range []string{"p1", "p2", "p3"} {
		if _, _, err := a.CreateProduct(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "b has the products", func() bool { return len(b.Directory().Products()) == 3 })
	rev := b.Views().View().Revision

	m.Close()
	o.Dir = t.TempDir()
	startMember(t, o)
	eventually(t, "the lost products are gone", func() bool { return len(b.Directory().Products()) == 0 })
	run(t, b.Announce(room("r2")))
	sees(t, a, "r2", true)
	eventually(t, "r1 is announced again", func() bool {
		i, ok := b.Views().View().Get(cluster.Room, "r1")
		return ok && i.Epoch == first.Epoch && b.Views().View().Revision > rev
	})
}

func TestMetrics(t *testing.T) {
	w := &world{member: startMember(t, EmbeddedOptions{Dir: t.TempDir()})}
	reg := prometheus.NewRegistry()
	c, err := Connect(t.Context(), testConfig(w), Options{Member: w.member, Registry: reg})
	if err != nil {
		t.Fatal(err)
	}
	run(t, c)
	run(t, c.Announce(room("r1")))
	sees(t, c, "r1", true)
	rev, err := c.PutSection(t.Context(), "room", "", 0)
	if err != nil {
		t.Fatal(err)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.Metric {
			got[f.GetName()] += m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	if got["longlink_config_revision"] != float64(rev) || got["longlink_keeper_instances"] != 1 ||
		got["longlink_keeper_registrations_total"] != 1 || got["longlink_keeper_lists_total"] != 4 {
		t.Errorf("%v", got)
	}
	if age, ok := got["longlink_keeper_view_age_seconds"]; !ok || age < 0 || age > 10 {
		t.Errorf("age %v, %v", age, ok)
	}
}

// TestEtcdHangs: a stopped process keeps its connections open and says nothing.
func TestEtcdHangs(t *testing.T) {
	e := testenv.Etcd(t)
	w := &world{endpoints: e.Endpoints}
	c := w.client(t)
	ann := c.Announce(room("r1"))
	run(t, ann)
	first := sees(t, c, "r1", true)
	signal := func(s syscall.Signal) {
		if err := syscall.Kill(e.Pid(), s); err != nil {
			t.Fatal(err)
		}
	}
	signal(syscall.SIGSTOP)
	defer signal(syscall.SIGCONT)
	eventually(t, "the silence shows in the age", func() bool { return c.Age() > 3*time.Second })
	if _, ok := c.Views().View().Get(cluster.Room, "r1"); !ok {
		t.Error("the view was not kept")
	}
	start := time.Now()
	if _, _, err := c.CreateProduct(t.Context(), "shop"); codeOf(err) != code.Unavailable {
		t.Errorf("%v", err)
	}
	if took := time.Since(start); took > 4*time.Second {
		t.Errorf("a write waited %v", took)
	}
	signal(syscall.SIGCONT)
	eventually(t, "contact is back", func() bool { return c.Age() < 500*time.Millisecond })
	ann.SetState(cluster.Draining)
	eventually(t, "the registry follows", func() bool {
		i, ok := c.Views().View().Get(cluster.Room, "r1")
		return ok && i.State == cluster.Draining && i.Epoch == first.Epoch
	})
}
