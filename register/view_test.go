package register

import (
	"context"
	"testing"
	"time"

	"longlink/pkg/api"
	"longlink/pkg/code"
	"longlink/pkg/config"
	"longlink/pkg/slot"
)

func TestWarmingUntilEveryRoomHasSaidDone(t *testing.T) {
	w := newWorld(t, nil, "a", "b")
	rev := w.view(true, w.inst("a", 1), w.inst("b", 1))
	w.finds("d", sess{}, code.NotReady)
	if w.reg.Check(context.Background()) == nil {
		t.Error("ready while every slot is warming")
	}
	w.put(sess{"a", 1, 5}.of("d", "p"))
	w.finds("d", sess{"a", 1, 5}, code.OK) // what is found is certain at once
	w.finds("e", sess{}, code.NotReady)
	if err := w.refilled("a", 1, rev); err != nil {
		t.Fatal(err)
	}
	w.finds("e", sess{}, code.NotReady)
	if err := w.refilled("b", 1, rev, uint32(slot.Of("e"))); err != nil {
		t.Fatal(err)
	}
	w.finds("e", sess{}, code.Offline)
	if err := w.refilled("b", 1, rev); err != nil {
		t.Fatal(err)
	}
	if err := w.reg.Check(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestNothingIsWaitedForWithoutRooms(t *testing.T) {
	w := newWorld(t, nil)
	w.finds("d", sess{}, code.Unavailable) // not in the view yet
	w.view(true)
	w.finds("d", sess{}, code.Offline)
	// A room that comes later is asked as well: it may have been away.
	rev := w.view(true, inRoom("a", 1))
	w.finds("d", sess{}, code.NotReady)
	if err := w.refilled("a", 1, rev); err != nil {
		t.Fatal(err)
	}
	w.finds("d", sess{}, code.Offline)
}

func TestADeadRoomIsNotWaitedFor(t *testing.T) {
	w := newWorld(t, nil, "a", "b")
	rev := w.view(true, w.inst("a", 1), w.inst("b", 1))
	if err := w.refilled("a", 1, rev); err != nil {
		t.Fatal(err)
	}
	w.finds("d", sess{}, code.NotReady)
	rev = w.view(true, w.inst("a", 1), w.inst("b", 2)) // b was restarted
	w.finds("d", sess{}, code.NotReady)                // and says at once that it has nothing
	if err := w.refilled("b", 2, rev); err != nil {
		t.Fatal(err)
	}
	w.finds("d", sess{}, code.Offline)
}

func TestLateSlotsServeAndStayUnsure(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.WarmDeadline = config.Duration(20 * time.Millisecond) }, "a")
	rev := w.view(true, w.inst("a", 1))
	w.await("the warm deadline", func() bool { return w.reg.Check(context.Background()) == nil })
	w.finds("d", sess{}, code.NotReady)
	if ready, warming, late := w.reg.slots.states(time.Now()); ready != 0 || warming != 0 || late != slot.Count {
		t.Errorf("slots: %d ready, %d warming, %d late", ready, warming, late)
	}
	if err := w.refilled("a", 1, rev); err != nil {
		t.Fatal(err)
	}
	w.finds("d", sess{}, code.Offline)
}

// TestDoneOfAnEarlierPossessionDoesNotCount: the slots were away in between, so
// sessions may have gone to another register.
func TestDoneOfAnEarlierPossessionDoesNotCount(t *testing.T) {
	w := ready(t, nil, "a")
	s := sess{"a", 1, 5}
	w.put(s.of("d", "p"))
	first := w.revision
	w.view(false, w.inst("a", 1))
	w.finds("d", sess{}, code.WrongOwner)
	if _, err := w.send(api.SessionItem_OP_PUT, s.of("d", "p")); err == nil || err.Code != code.WrongOwner {
		t.Errorf("a PUT to who is not the owner: %v", err)
	}
	rev := w.view(true, w.inst("a", 1))
	w.finds("d", s, code.OK) // kept, for rooms that did not see the change
	w.finds("e", sess{}, code.NotReady)
	if err := w.refilled("a", 1, first); err != nil {
		t.Fatal(err)
	}
	w.finds("e", sess{}, code.NotReady)
	if err := w.refilled("a", 1, rev); err != nil {
		t.Fatal(err)
	}
	w.finds("e", sess{}, code.Offline)
}

func TestRefilledFromAhead(t *testing.T) {
	w := newWorld(t, nil, "a")
	w.view(true, w.inst("a", 1))
	if err := w.refilled("a", 1, w.revision+1); err == nil || err.Code != code.NotReady {
		t.Errorf("a room ahead of the view: %v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for _, r := range []*api.RefilledRequest{{Room: "a", RoomEpoch: 1, Register: "register-9", RegisterEpoch: 5}, {Room: "a", RoomEpoch: 1, Register: self, RegisterEpoch: 4}} {
		if _, err := w.reg.Refilled(ctx, r); err == nil {
			t.Errorf("%v was taken", r)
		}
	}
}

// TestPutFromAhead: the room knows already that the slot is this register's.
func TestPutFromAhead(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.HideFor = config.Duration(time.Hour) }, "a")
	w.view(false, w.inst("a", 1))
	s := sess{"a", 1, 5}
	r := w.reg.update(&api.BatchHeader{ViewRevision: w.revision + 1}, &api.SessionItem{Op: api.SessionItem_OP_PUT, Session: s.of("d", "p")})
	if r.Result != nil || r.WinnerEpoch != 5 {
		t.Fatalf("answer %v", r)
	}
	w.reg.sweepOnce(time.Now().Add(time.Minute))
	w.view(true, w.inst("a", 1))
	w.finds("d", s, code.OK)

	r = w.reg.update(&api.BatchHeader{ViewRevision: w.revision}, &api.SessionItem{Op: api.SessionItem_OP_PUT, Session: s.of("e", "p")})
	if r.Result != nil {
		t.Fatalf("answer %v", r)
	}
	w.view(false, w.inst("a", 1))
	w.reg.sweepOnce(time.Now().Add(2 * time.Hour))
	if n := w.reg.store.count.Load(); n != 0 {
		t.Errorf("%d sessions of another's slots were kept", n)
	}
}

func TestSessionsOfARoomThatLeftAreHidden(t *testing.T) {
	w := ready(t, func(c *Config) { c.HideFor = config.Duration(time.Hour) }, "a", "b")
	a, b := sess{"a", 1, 5}, sess{"b", 1, 6}
	w.put(a.of("d", "p"))
	w.put(b.of("e", "p"))
	w.view(true, w.inst("b", 1))
	w.finds("d", a, code.NotReady) // it may come back
	w.finds("e", b, code.OK)
	w.view(true, w.inst("a", 1), w.inst("b", 1))
	w.finds("d", a, code.OK)

	rev := w.view(true, w.inst("a", 2), w.inst("b", 1))
	if err := w.refilled("a", 2, rev); err != nil {
		t.Fatal(err)
	}
	w.finds("d", a, code.Offline) // a later life of the room: certain
	// A session of a dead room never wins, not even with the higher epoch.
	if r := w.put(sess{"b", 1, 3}.of("d", "p")); r.WinnerRoom != "b" || r.WinnerEpoch != 3 {
		t.Errorf("winner %v", r)
	}
	w.finds("d", sess{"b", 1, 3}, code.OK)
}

func TestHiddenSessionsAreSweptAfterAWhile(t *testing.T) {
	w := ready(t, func(c *Config) { c.HideFor = config.Duration(time.Hour) }, "a", "b")
	w.put(sess{"a", 1, 5}.of("d", "p"))
	w.put(sess{"b", 1, 6}.of("e", "p"))
	w.view(true, w.inst("b", 1))
	w.reg.sweepOnce(time.Now().Add(59 * time.Minute))
	w.finds("d", sess{}, code.NotReady)
	w.reg.sweepOnce(time.Now().Add(61 * time.Minute))
	w.finds("d", sess{}, code.Offline)
	w.finds("e", sess{"b", 1, 6}, code.OK)

	// A room that the view has not shown yet is hidden too, and swept if it
	// never shows.
	w.put(sess{"z", 4, 7}.of("f", "p"))
	w.finds("f", sess{}, code.NotReady)
	w.reg.sweepOnce(time.Now().Add(61 * time.Minute))
	w.finds("f", sess{}, code.Offline)
	if n := w.reg.store.count.Load(); n != 1 {
		t.Errorf("%d sessions are left", n)
	}
}

func TestSweepRunsByItself(t *testing.T) {
	w := ready(t, func(c *Config) {
		c.HideFor, c.SweepEvery = config.Duration(10*time.Millisecond), config.Duration(10*time.Millisecond)
	}, "a")
	w.put(sess{"a", 1, 5}.of("d", "p"))
	w.view(true)
	w.await("the sweep", func() bool { return w.reg.store.count.Load() == 0 })
}
