package room

import (
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
