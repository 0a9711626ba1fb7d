package register

import (
	"testing"
	"time"

	"longlink/pkg/cluster"
	"longlink/pkg/code"
	"longlink/pkg/slot"
)

// table is slots with a clock that the test turns, one view after the other.
type table struct {
	t *testing.T
	*slots
	now      time.Time
	revision uint64
}

func newTable(t *testing.T) *table {
	return &table{t: t, slots: newSlots(self, 5*time.Second), now: time.Unix(1_800_000_000, 0)}
}

func inRoom(id string, epoch uint64) cluster.Instance {
	return cluster.Instance{Kind: cluster.Room, ID: id, Epoch: epoch}
}

// view takes a view in; mine says who owns the slots.
func (b *table) view(mine bool, rooms ...cluster.Instance) uint64 {
	b.revision++
	b.now = b.now.Add(time.Second)
	owner := cluster.Instance{Kind: cluster.Register, ID: "register-2"}
	if mine {
		owner.ID = self
	}
	b.take(cluster.NewView(b.revision, append(rooms, owner)), b.now)
	return b.revision
}

func (b *table) says(id string, epoch, revision uint64) {
	all := make([]uint32, slot.Count)
	for s := range all {
		all[s] = uint32(s)
	}
	b.done(roomKey{id, epoch}, revision, all)
}

// waits checks how many rooms every slot waits for.
func (b *table) waits(what string, want int32) {
	b.t.Helper()
	for s := range b.missing {
		if got := b.missing[s].Load(); got != want {
			b.t.Errorf("%s: slot %d waits for %d rooms, want %d", what, s, got, want)
			return
		}
	}
}

// A room's lease ends, it goes on with its devices, and this instance gains the
// slot meanwhile.
func TestARoomThatIsAwayIsWaitedForToo(t *testing.T) {
	b := newTable(t)
	b.view(false, inRoom("a", 1), inRoom("b", 1))
	b.view(false, inRoom("b", 1)) // a is away
	rev := b.view(true, inRoom("b", 1))
	b.waits("gained", 2)
	b.says("b", 1, rev)
	b.waits("b has told", 1)
	back := b.view(true, inRoom("a", 1), inRoom("b", 1))
	b.waits("a is back", 1)
	b.says("a", 1, rev) // under a view without it: of before
	b.waits("an old report", 1)
	b.says("a", 1, back)
	b.waits("a has told", 0)
}

// It does not come back: nobody waits for longer than its sessions would be
// hidden.
func TestARoomThatStaysAwayIsForgotten(t *testing.T) {
	b := newTable(t)
	b.view(false, inRoom("a", 1))
	b.view(false)
	b.view(true)
	b.waits("gained", 1)
	if !b.forget(roomKey{"a", 1}) {
		t.Error("it is kept")
	}
	b.waits("forgotten", 0)
	if len(b.guests) != 0 {
		t.Errorf("%d guests are left", len(b.guests))
	}
	// It comes back after all; its sessions were deleted.
	rev := b.view(true, inRoom("a", 1))
	b.waits("met anew", 1)
	if b.forget(roomKey{"a", 1}) {
		t.Error("a present room was forgotten")
	}
	b.says("a", 1, rev)
	b.waits("told", 0)
}

// This instance is young and has never seen the room, which was outside the view
// when it began.
func TestARoomThatWasNeverSeenIsAsked(t *testing.T) {
	b := newTable(t)
	first := b.view(true)
	b.waits("nobody there", 0)
	rev := b.view(true, inRoom("a", 1))
	b.waits("met", 1)
	b.says("a", 1, first)
	b.waits("a report from outside the view", 1)
	b.says("a", 1, rev)
	b.waits("told", 0)
}

// A room that was being waited for is away for a moment: what it owed it owes.
func TestABlinkDoesNotPayADebt(t *testing.T) {
	b := newTable(t)
	b.view(true, inRoom("a", 1))
	b.waits("gained", 1)
	b.view(true)
	b.waits("away", 1)
	back := b.view(true, inRoom("a", 1))
	b.waits("back", 1)
	b.says("a", 1, back)
	b.waits("told", 0)
	// And one that owed nothing owes nothing after it: its sessions were hidden.
	b.view(true)
	b.view(true, inRoom("a", 1))
	b.waits("a second blink", 0)
	// Its next life is dead to the first one's debts.
	b.view(false, inRoom("a", 1))
	b.view(true, inRoom("a", 1))
	b.waits("gained again", 1)
	rev := b.view(true, inRoom("a", 2))
	b.waits("restarted", 1)
	b.says("a", 1, rev)
	b.waits("the dead one's report", 1)
	b.says("a", 2, rev)
	b.waits("told", 0)
}

// Another register joined and left again; room a saw only the views before and
// after, so it tells nothing by itself. The slots wait for it, late and unknown,
// until it asks (room/refill.go) and tells again.
func TestARoomThatSkippedAViewFindsOutByAsking(t *testing.T) {
	b := newTable(t)
	rev := b.view(true, inRoom("a", 1))
	b.says("a", 1, rev)
	b.view(false, inRoom("a", 1))
	rev = b.view(true, inRoom("a", 1))
	b.waits("gained back", 1)
	if _, warming, _ := b.states(b.now.Add(4 * time.Second)); warming != slot.Count {
		t.Errorf("%d slots are warming", warming)
	}
	if _, _, late := b.states(b.now.Add(6 * time.Second)); late != slot.Count {
		t.Errorf("%d slots are late", late)
	}
	if n := b.owed(roomKey{"a", 1}); n != slot.Count {
		t.Errorf("the room owes %d slots", n)
	}
	b.says("a", 1, rev)
	if n := b.owed(roomKey{"a", 1}); n != 0 {
		t.Errorf("the room owes %d slots after it has told", n)
	}
	if n := b.owed(roomKey{"z", 1}); n != 0 {
		t.Errorf("a stranger owes %d slots", n)
	}
	b.waits("told", 0)
}

func TestTheQuestionWhetherARoomIsWaitedFor(t *testing.T) {
	w := newWorld(t, nil, "a")
	rev := w.view(true, w.inst("a", 1))
	if err := w.asks("a", rev); err == nil || err.Code != code.FailedPrecondition {
		t.Errorf("it is waited for: %v", err)
	}
	if err := w.refilled("a", 1, rev); err != nil {
		t.Fatal(err)
	}
	if err := w.asks("a", rev); err != nil {
		t.Errorf("it has told everything: %v", err)
	}
	w.finds("d", sess{}, code.Offline)
}

// TestASweepDoesNotDeleteWhatARoomPushesAgain: it was away for too long and is
// back in the very moment in which its sessions are deleted.
func TestASweepDoesNotDeleteWhatARoomPushesAgain(t *testing.T) {
	w := ready(t, nil, "a", "b")
	w.put(sess{"a", 1, 5}.of("d", "p"))
	w.view(true, w.inst("b", 1))
	// It can reach this instance while it is outside the view.
	long := time.Now().Add(2 * w.reg.cfg.HideFor.Std())
	w.reg.sweepOnce(long)
	w.finds("d", sess{}, code.Offline)
	w.put(sess{"a", 1, 5}.of("d", "p"))
	w.finds("d", sess{}, code.NotReady) // hidden
	rev := w.view(true, w.inst("a", 1), w.inst("b", 1))
	w.reg.sweepOnce(long)
	w.finds("d", sess{"a", 1, 5}, code.OK)
	w.finds("e", sess{}, code.NotReady)
	if err := w.refilled("a", 1, rev); err != nil {
		t.Fatal(err)
	}
	w.finds("e", sess{}, code.Offline)
}
