package saver

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"longlink/pkg/api"
	"longlink/pkg/cluster"
	"longlink/pkg/code"
)

// sweeping is a saver with a cluster around it.
func sweeping(t *testing.T, change ...func(*Config)) (*around, *running) {
	w := embeddedWorld(t)
	a := withCluster(t, w)
	return a, w.start(change...)
}

// The common case costs no call: the ack comes.
func TestSweepAsksNobodyAboutAcked(t *testing.T) {
	a, s := sweeping(t)
	a.online("d", "room-1")
	r := s.mustPush(push{device: "d", text: "a"})
	s.ack("d", r.Seq)
	s.settles()
	s.mustPush(push{device: "offline", text: "a"})
	s.settles()
	if a.asked() != 1 || len(a.rooms["room-1"].deliveries()) != 0 || s.swept() != "OFFLINE 1" {
		t.Errorf("%d locates, %d deliveries, counted %s; want one locate, of the device that is offline",
			a.asked(), len(a.rooms["room-1"].deliveries()), s.swept())
	}
}

// Center died between append and deliver: a device that is connected gets it
// soon, by one locate and one delivery for all its messages.
func TestSweepDeliversWhatNobodyDelivered(t *testing.T) {
	a, s := sweeping(t)
	a.online("d", "room-1")
	s.mustPush(push{device: "other", text: "a"}) // Redis is connected
	s.settles()
	var items []*api.AppendItem
	for i := range 5 {
		items = append(items, push{device: "d", text: fmt.Sprint(i)}.item())
	}
	began := time.Now()
	out := s.Append(items)
	stored := time.Now()
	last := out[4].Seq
	s.settles()
	got := a.rooms["room-1"].deliveries()
	if len(got) != 1 || a.asked() != 2 || s.swept() != "HAVE 1, OFFLINE 1" {
		t.Fatalf("%d deliveries, %d locates, counted %s, want one each, and OFFLINE for the other", len(got), a.asked(), s.swept())
	}
	it := got[0]
	if it.Message.Seq != last || it.Message.Prev != last || it.Message.Message == nil || it.Device != "d" || it.Product != "shop" || it.Conn != 1 || it.Epoch != 2 {
		t.Errorf("delivered %v, want seq and prev %d for the session", it, last)
	}
	if at := a.rooms["room-1"].when; at.Sub(began) < sweepAfter || at.Sub(stored) > sweepAfter+time.Second {
		t.Errorf("delivered after %s, want %s", at.Sub(began), sweepAfter)
	}
	s.holds("d", "0 1 2 3 4")
}

// Center has delivered and the device is slow to acknowledge.
func TestSweepOfASlowDevice(t *testing.T) {
	a, s := sweeping(t)
	a.online("d", "room-1")
	r := s.mustPush(push{device: "d", text: "a"})
	a.rooms["room-1"].sent["d"] = r.Seq
	s.settles()
	if s.swept() != "DUPLICATE 1" {
		t.Errorf("counted %s", s.swept())
	}
}

// "Not found" is never final: unknown, elsewhere and gone are asked again.
func TestSweepAsksUntilSomebodyKnows(t *testing.T) {
	gone, unbound := api.DeliverResult_STATE_GONE, api.DeliverResult_STATE_UNBOUND
	for name, c := range map[string]struct {
		before func(a *around)
		want   string
		room   string // that is told at the end
	}{
		"register is warming": {func(a *around) {
			a.online("d", "room-1")
			a.reg.fail = []*code.Error{code.Errorf(code.NotReady, "warming"), code.Errorf(code.WrongOwner, "moved")}
		}, "HAVE 1, NOT_READY 1, WRONG_OWNER 1", "room-1"},
		"gone, then elsewhere": {func(a *around) {
			a.online("d", "room-1")
			a.rooms["room-1"].states = []api.DeliverResult_State{gone}
			go func() {
				for len(a.rooms["room-1"].deliveries()) == 0 {
					<-time.After(time.Millisecond)
				}
				a.online("d", "room-2")
			}()
		}, "GONE 1, HAVE 1", "room-2"},
		"gone, then offline": {func(a *around) {
			a.online("d", "room-1")
			a.rooms["room-1"].states = []api.DeliverResult_State{gone}
			go func() {
				for len(a.rooms["room-1"].deliveries()) == 0 {
					<-time.After(time.Millisecond)
				}
				a.reg.mu.Lock()
				defer a.reg.mu.Unlock()
				delete(a.reg.sessions, "d")
			}()
		}, "GONE 1, OFFLINE 1", ""},
		"not bound": {func(a *around) {
			a.online("d", "room-1")
			a.rooms["room-1"].states = []api.DeliverResult_State{unbound}
		}, "UNBOUND 1", ""},
		"a room that is not in the view": {func(a *around) {
			a.online("d", "room-3")
			go func() {
				for a.asked() == 0 {
					<-time.After(time.Millisecond)
				}
				a.online("d", "room-1")
			}()
		}, "HAVE 1, NOT_READY 1", "room-1"},
	} {
		t.Run(name, func(t *testing.T) {
			a, s := sweeping(t)
			c.before(a)
			s.mustPush(push{device: "d", text: "a"})
			s.settles()
			if s.swept() != c.want {
				t.Errorf("counted %s, want %s", s.swept(), c.want)
			}
			if c.room != "" && len(a.rooms[c.room].deliveries()) == 0 {
				t.Errorf("%s was told nothing", c.room)
			}
		})
	}
}

// The register is away, pushes go on; the new one is asked soon after it is in
// the view, not after the back-off.
func TestSweepWaitsForANewRegister(t *testing.T) {
	w := embeddedWorld(t)
	a := withCluster(t, w)
	reg := a.all[0]
	a.all = a.all[1:]
	a.show()
	s := w.start()
	for i := range 50 {
		d := fmt.Sprint("d", i)
		a.online(d, "room-1")
		s.mustPush(push{device: d, text: "a"})
	}
	eventually(t, "several questions without an answer", func() bool {
		s.sweep.table.mu.Lock()
		defer s.sweep.table.mu.Unlock()
		for _, o := range s.sweep.table.lanes {
			if o.tries < 3 { // the next one would come after 8 times as long
				return false
			}
		}
		return true
	})
	reg.Epoch++
	a.all = append(a.all, reg)
	began := time.Now()
	a.show()
	s.settles()
	if took := time.Since(began); took > 3*sweepAfter {
		t.Errorf("settled %s after the register was there", took)
	}
	if got := len(a.rooms["room-1"].deliveries()); got != 50 {
		t.Errorf("%d deliveries, want 50", got)
	}
}

// A full table refuses before anything is stored; what settles makes room.
func TestSweepIsFull(t *testing.T) {
	w := embeddedWorld(t) // without a register nothing settles
	s := w.start(func(c *Config) { c.Sweep.Lanes = 16 })
	for i := range 16 {
		s.mustPush(push{device: fmt.Sprint("d", i), text: "a"})
	}
	if _, c := s.push(push{device: "more", text: "a"}); c != code.RateLimited {
		t.Fatalf("a push to a lane too many: %v, want RATE_LIMITED", c)
	}
	s.holds("more", "")
	r := s.mustPush(push{device: "d3", text: "b"}) // has its entry
	s.ack("d3", r.Seq)
	s.mustPush(push{device: "more", text: "a"})
}

// Appends that were answered UNKNOWN are looked after when they are in the lane,
// and no room is told of a seq that is not.
func TestSweepOfUnknownAppends(t *testing.T) {
	a, s := sweeping(t)
	a.online("d", "room-1")
	a.online("lost", "room-1")
	s.seams.commitError = func() error { return errors.New("the ledger is away") }
	if _, c := s.push(push{device: "d", text: "a"}); c != code.Unknown {
		t.Fatalf("got %v, want UNKNOWN", c)
	}
	s.seams.commitError = nil
	s.settles()
	if got := a.rooms["room-1"].deliveries(); len(got) != 1 || got[0].Device != "d" || s.swept() != "HAVE 1" {
		t.Fatalf("delivered %v, counted %s", got, s.swept())
	}
	s.seams.commitError = func() error { a.w.redis.restart(false); return errors.New("Redis and the ledger are away") }
	if _, c := s.push(push{device: "lost", text: "a"}); c != code.Unknown {
		t.Fatalf("got %v, want UNKNOWN", c)
	}
	s.settles()
	if got := a.rooms["room-1"].deliveries(); len(got) != 1 {
		t.Errorf("a room was told of a message that Redis has lost: %v", got)
	}
}

// A saver dies with messages that nobody has delivered. Whoever has its slots,
// another one or its next life, learns of them from the ledger.
func TestSweepInherits(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		a := withCluster(t, w)
		a.online("d", "room-1")
		a.online("acked", "room-1")
		// No question before its end.
		slow := func(c *Config) { c.Sweep.After = c.Sweep.After * 200 }
		first := w.start(slow)
		a.show(first)
		r := first.mustPush(push{device: "acked", text: "a"})
		first.mustPush(push{device: "d", text: "a"})
		first.ack("acked", r.Seq)
		first.stop()

		second := w.start(slow)
		second.self.Epoch++ // not this life
		a.show(second)
		third := w.start()
		if third.sweep.table.len() != 0 {
			t.Fatal("lanes were taken over before this saver was in the view")
		}
		a.show(second, third)
		other := ""
		for i := 0; other == ""; i++ { // a device of the second's
			d := fmt.Sprint("other", i)
			if o, _ := w.views.View().Owner(cluster.Saver, laneOf(d).Slot); o.ID == second.self.ID {
				other = d
			}
		}
		a.online(other, "room-1")
		second.mustPush(push{device: other, text: "b"})
		// The second leaves: its slots are the third's now, with all lanes.
		second.stop()
		a.show(third)
		eventually(t, "the rooms to be told", func() bool {
			told := map[string]int{}
			for _, it := range a.rooms["room-1"].deliveries() {
				told[it.Device]++
			}
			return told["d"] > 0 && told[other] > 0
		})
		third.settles()
		for _, it := range a.rooms["room-1"].deliveries() {
			if it.Device == "acked" {
				t.Error("a lane was delivered again that the ledger knows as acknowledged")
			}
		}
	})
}

// A saver serves a slot of another one that does not answer for a moment, and
// dies with what it has stored. The owner learns of it.
func TestSweepInheritsFromASpare(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		a := withCluster(t, w)
		slow := func(c *Config) { c.Sweep.After = c.Sweep.After * 200 } // no question before its end
		last, spare, owner := w.start(slow), w.start(slow), w.start()
		// The last life of the owner leaves a lane, so that it is seen when the owner
		// has read the ledger at its begin.
		a.show(owner, spare)
		device := ""
		for i := 0; device == ""; i++ {
			d := fmt.Sprint("d", i)
			if o, _ := w.views.View().Owner(cluster.Saver, laneOf(d).Slot); o.ID == owner.self.ID {
				device = d
			}
		}
		a.show()
		a.online(device, "room-1")
		last.mustPush(push{device: device, text: "a"})
		last.stop()
		told := func() (seq uint64) {
			for _, it := range a.rooms["room-1"].deliveries() {
				seq = max(seq, it.Message.Seq)
			}
			return seq
		}
		a.show(owner, spare)
		eventually(t, "the owner to begin", func() bool { return told() > 0 })
		owner.settles()
		r := spare.mustPush(push{device: device, text: "b"})
		spare.stop()
		a.show(owner)
		eventually(t, "the room to be told", func() bool { return told() == r.Seq })
	})
}

func TestOrphans(t *testing.T) {
	inst := func(id string, epoch uint64) cluster.Instance {
		return cluster.Instance{Kind: cluster.Saver, ID: id, Epoch: epoch}
	}
	view := func(all ...cluster.Instance) *cluster.View { return cluster.NewView(1, all) }
	ab, a, ab2 := view(inst("a", 1), inst("b", 1)), view(inst("a", 1)), view(inst("a", 1), inst("b", 2))
	abc, ac := view(inst("a", 1), inst("b", 1), inst("c", 1)), view(inst("a", 1), inst("c", 1))
	own := len(orphans(nil, ab, "a"))
	if own == 0 || own == 4096 {
		t.Fatalf("a begins with %d slots", own)
	}
	for name, c := range map[string]struct {
		before, now *cluster.View
		want        int
	}{
		"begins alone":    {nil, a, 4096},
		"nothing changed": {ab, ab, 0},
		"b came":          {a, ab, 0},
		// It may have served slots of a.
		"b left":               {ab, a, 4096},
		"b came back as other": {ab, ab2, own},
		"b left and c came":    {ab, ac, len(orphans(nil, ac, "a"))},
		"b left, c has stayed": {abc, ac, len(orphans(nil, ac, "a"))},
	} {
		if got := len(orphans(c.before, c.now, "a")); got != c.want {
			t.Errorf("%s: %d slots, want %d", name, got, c.want)
		}
	}
}

// 20,000 appends, all acknowledged or settled, leave nothing behind; the stop
// in the middle of questions leaves nothing running (see TestMain).
func TestSweepLeavesNothing(t *testing.T) {
	a, s := sweeping(t, func(c *Config) { c.Lane.MaxMessages, c.Rebuild.Pause = 10000, 0 })
	eventually(t, "every slot serves", func() bool { return s.rebuild.unready() == 0 })
	const batches, each = 40, 512
	for b := range batches {
		items := make([]*api.AppendItem, each)
		for i := range items {
			items[i] = push{device: fmt.Sprint("d", (b*each+i)%2000), text: "x"}.item()
		}
		acks := make([]*api.AckItem, 0, each)
		for i, r := range s.Append(items) {
			if r.Result != nil {
				t.Fatal(r.Result)
			}
			if i%16 != 0 { // the others are offline
				acks = append(acks, &api.AckItem{Device: items[i].Device, Product: "shop", Seq: r.Seq})
			}
		}
		for _, r := range s.Ack(acks) {
			if r.Result != nil {
				t.Fatal(r.Result)
			}
		}
	}
	s.settles()
	s.sweep.table.mu.Lock()
	out, failed, lanes := s.sweep.table.out, s.sweep.table.failed, len(s.sweep.table.lanes)
	s.sweep.table.mu.Unlock()
	if out != 0 || failed != 0 || lanes != 0 {
		t.Errorf("%d out, %d failed, %d lanes are left", out, failed, lanes)
	}
	t.Logf("%d locates for %d messages", a.asked(), batches*each)
	for i := range 500 {
		s.mustPush(push{device: fmt.Sprint("late", i), text: "x"})
	}
	<-time.After(sweepAfter)
	s.stop()
}
