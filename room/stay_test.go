package room

import (
	"fmt"
	"testing"

	"longlink/pkg/api"
	"longlink/pkg/cluster"
	"longlink/pkg/rpc"
	"longlink/pkg/slot"
	"longlink/pkg/wire"
)

// enters sets a view in which this room came in at a revision, 0: it is not there.
func (w *world) enters(revision uint64, entered int64, held bool) {
	var all []cluster.Instance
	for _, i := range w.views.View().All() {
		if i.Kind != cluster.Room {
			all = append(all, i)
		}
	}
	if entered != 0 {
		all = append(all, cluster.Instance{Kind: cluster.Room, ID: "room-1", Epoch: 7, RPC: "room-1", Entered: entered, Held: held})
	}
	w.views.Set(cluster.NewView(revision, all))
}

// refills waits for that many refills and returns the last one.
func (w *world) refills(n int) (last *api.RefilledRequest) {
	w.t.Helper()
	eventually(w.t, "the refill", func() (ok bool) {
		w.reg.set(func(f *fakeRegister) {
			if ok = len(f.refilled) >= n; ok {
				last = f.refilled[len(f.refilled)-1]
				if len(f.refilled) > n {
					w.t.Errorf("%d refills, want %d", len(f.refilled), n)
				}
			}
		})
		return ok
	})
	return last
}

// asked waits until the registers were asked once more whether they wait.
func (w *world) asked() {
	w.t.Helper()
	count := func() (n int) { w.reg.set(func(f *fakeRegister) { n = f.asked }); return n }
	before := count()
	eventually(w.t, "the question", func() bool { return count() > before+1 })
}

// TestARoomThatWasAwayTellsEverythingAndLooksAtItsLanes: its lease had ended, and
// a register called its device offline while a message was stored.
func TestARoomThatWasAwayTellsEverythingAndLooksAtItsLanes(t *testing.T) {
	w := newWorld(t, nil)
	w.refills(1)
	w.enters(10, 5, false)
	if r := w.refills(2); r.ViewRevision != 10 {
		t.Errorf("at its entry it told under %d", r.ViewRevision)
	}
	d := w.login("d", wire.Binding{Product: "demo"})
	w.asked()
	w.enters(11, 0, false)
	w.reg.set(func(f *fakeRegister) { f.sessions = map[string]*api.Session{} }) // swept
	m := w.saver.append("d", "demo", &api.Message{Id: "stored", Payload: []byte("x"), Qos: 1})
	w.asked()
	w.refills(2)
	w.enters(12, 12, false)
	if r := w.refills(3); r.ViewRevision != 12 || len(r.Slots) != slot.Count {
		t.Errorf("back in the view it told %d slots under %d", len(r.Slots), r.ViewRevision)
	}
	if w.reg.session("d") == nil {
		t.Error("its session is unknown")
	}
	if p := d.push(); p.Seq != m.Seq {
		t.Errorf("pushed %d, stored %d", p.Seq, m.Seq)
	}
}

// TestAClosedWindowIsLookedAtOnce: the device has not acknowledged what it got. What
// was stored meanwhile comes with its ack, and when there is nothing more nobody
// looks again.
func TestAClosedWindowIsLookedAtOnce(t *testing.T) {
	for name, more := range map[string]bool{"more was stored": true, "nothing was stored": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(c *Config) { c.LaneWindow = 1 })
			w.refills(1)
			w.enters(10, 5, false)
			w.refills(2)
			m := w.saver.append("d", "demo", &api.Message{Id: "first", Payload: []byte("x"), Qos: 1})
			d := w.login("d", wire.Binding{Product: "demo"})
			d.push()
			loads := func() (n int) { w.saver.set(func(f *fakeSaver) { n = len(f.loads) }); return n }
			w.enters(11, 0, false)
			w.asked()
			most := 2
			if more {
				w.saver.append("d", "demo", &api.Message{Id: "second", Payload: []byte("x"), Qos: 1})
				most = 3 // unless the ack comes before what the look has found
			}
			w.enters(12, 12, false)
			w.refills(3)
			eventually(t, "the lane is looked at", func() bool { return loads() == 2 })
			d.ack("demo", m.Seq)
			if more {
				if p := d.push(); string(p.ID) != "second" {
					t.Errorf("pushed %s", p.ID)
				}
			}
			eventually(t, "the ack has arrived", func() bool { return w.saver.acked("d", "demo") == m.Seq })
			for range 3 { // longer than retry_max each
				w.asked()
			}
			if n := loads(); n > most {
				t.Errorf("%d loads, at most %d are needed", n, most)
			}
		})
	}
}

// TestAHeldRoomWasNotAway: nobody has missed it.
func TestAHeldRoomWasNotAway(t *testing.T) {
	w := newWorld(t, nil)
	w.refills(1)
	w.enters(10, 5, false)
	w.refills(2)
	w.enters(11, 5, true)
	w.asked()
	w.enters(12, 12, false)
	w.asked()
	w.refills(2)
}

// TestARegisterThatWaitsIsToldAgain: another register had joined and left between
// two views of this room, so the one that got its slots back waits.
func TestARegisterThatWaitsIsToldAgain(t *testing.T) {
	w := newWorld(t, nil)
	w.refills(1)
	w.asked()
	w.refills(1)
	w.reg.set(func(f *fakeRegister) { f.waits = true })
	if r := w.refills(2); len(r.Slots) != slot.Count {
		t.Errorf("told %d slots again", len(r.Slots))
	}
	w.asked()
	w.refills(2)
}

// TestARefillOutlivesViewsOfOthers: instances of other kinds come and go all the
// time; a refill that began anew with each would never end.
func TestARefillOutlivesViewsOfOthers(t *testing.T) {
	w := newWorld(t, nil)
	w.refills(1)
	hold := make(chan struct{})
	begun := func() (n int) { w.reg.set(func(f *fakeRegister) { n = f.begun }); return n }
	w.reg.set(func(f *fakeRegister) { f.hold = hold })
	w.enters(10, 5, false)
	eventually(t, "it is under way", func() bool { return begun() == 2 })
	for n := range uint64(20) {
		w.views.Set(w.views.View().Next(11+n, append(w.views.View().All(),
			cluster.Instance{Kind: cluster.Center, ID: fmt.Sprint("center-", n), Epoch: 1})))
	}
	close(hold)
	if r := w.refills(2); r.ViewRevision != 10 {
		t.Errorf("told under %d", r.ViewRevision)
	}
	w.asked()
	if n := begun(); n != 2 {
		t.Errorf("it was begun %d times", n-1)
	}
}

// TestAHeldRegisterIsNotToldAgain: too many of them vanished at once, and the view
// keeps this one. A round for a dead one would hold up the questions to the others.
func TestAHeldRegisterIsNotToldAgain(t *testing.T) {
	w := newWorld(t, nil)
	w.refills(1)
	all := w.views.View().All()
	held := func(yes bool, entered int64) {
		for i := range all {
			if all[i].Kind == cluster.Register {
				all[i].Held, all[i].Entered = yes, entered
			}
		}
		w.views.Set(w.views.View().Next(w.views.View().Revision+1, all))
	}
	held(false, 5)
	w.refills(2)
	w.asked()
	held(true, 5)
	w.asked()
	held(true, 0) // from the record
	w.asked()
	w.refills(2)
	held(false, 12)
	w.refills(3)
}

// TestARefillEndsWithItsRegister: another one has come in meanwhile.
func TestARefillEndsWithItsRegister(t *testing.T) {
	w := newWorld(t, nil)
	w.refills(1)
	hold := make(chan struct{})
	defer close(hold)
	w.reg.set(func(f *fakeRegister) { f.hold = hold })
	w.enters(10, 5, false)
	eventually(t, "it is under way", func() (ok bool) { w.reg.set(func(f *fakeRegister) { ok = f.begun == 2 }); return ok })
	w.reg.set(func(f *fakeRegister) { f.hold = nil })
	all := w.views.View().All()
	for i := range all {
		if all[i].Kind == cluster.Register {
			all[i].Epoch++
		}
	}
	w.views.Set(cluster.NewView(11, all))
	if r := w.refills(2); r.ViewRevision != 11 || r.RegisterEpoch != 2 {
		t.Errorf("told %+v", r.ViewRevision)
	}
}

func TestOwnStay(t *testing.T) {
	o := ownStay{self: rpc.Identity{ID: "r", Epoch: 7}}
	in := func(epoch uint64, entered int64, held bool) *cluster.View {
		return cluster.NewView(1, []cluster.Instance{{Kind: cluster.Room, ID: "r", Epoch: epoch, Entered: entered, Held: held}})
	}
	for n, c := range []struct {
		v           *cluster.View
		began, away bool
	}{
		{cluster.NewView(1, nil), false, false},
		{in(6, 3, false), false, false}, // its last life
		{in(7, 5, false), true, false},
		{in(7, 5, false), false, false},
		{cluster.NewView(1, nil), false, false},
		{in(7, 9, false), true, true},
		{in(7, 12, false), true, true}, // the view jumped over the absence
		{in(7, 0, true), false, false},
		{in(7, 15, false), false, false},
		{in(7, 15, true), false, false},
		{cluster.NewView(1, nil), false, false}, // the hold ended first
		{in(7, 18, false), true, true},
	} {
		if began, away := o.take(c.v); began != c.began || away != c.away {
			t.Errorf("view %d: began %v, away %v", n, began, away)
		}
	}
}
