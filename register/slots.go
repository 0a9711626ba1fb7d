package register

import (
	"sync"
	"sync/atomic"
	"time"

	"longlink/pkg/cluster"
	"longlink/pkg/slot"
)

// slots knows which slots this instance owns in the newest view that it has
// taken in, and which of them still wait for rooms (guests.go).
type slots struct {
	self string
	warm time.Duration

	// Read by requests without the lock, written under it.
	owned   [slot.Count]atomic.Bool
	missing [slot.Count]atomic.Int32 // rooms that are waited for

	mu       sync.Mutex
	revision uint64
	advanced chan struct{} // closed and replaced at every view
	gained   [slot.Count]time.Time
	// foreign is the last view in which the slot was not owned: a room's report
	// under that view or an older one says nothing of this possession.
	foreign [slot.Count]uint64
	guests  map[roomKey]*guest
	// strays are slots that hold sessions though they are not owned: they were
	// lost, or the room that sent a session knows a newer view.
	strays map[int]time.Time
}

func newSlots(self string, warm time.Duration) *slots {
	return &slots{self: self, warm: warm, advanced: make(chan struct{}), guests: map[roomKey]*guest{}, strays: map[int]time.Time{}}
}

// take takes a view in and returns how many slots were lost. Their sessions
// stay for a while: a room that misses the view in which a slot was away does
// not push them again.
func (t *slots) take(v *cluster.View, now time.Time) (lost int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.meet(v)
	for s := range slot.Count {
		owner, ok := v.Owner(cluster.Register, uint16(s))
		switch mine := ok && owner.ID == t.self; {
		case mine && !t.owned[s].Load():
			t.gained[s] = now
			for _, g := range t.guests {
				t.await(g, s)
			}
			t.owned[s].Store(true) // last: who sees it owned sees it wait
		case !mine:
			t.foreign[s] = v.Revision
			if t.owned[s].Load() {
				t.owned[s].Store(false)
				for _, g := range t.guests {
					t.arrived(g, s)
				}
				t.strays[s] = now
				lost++
			}
		}
	}
	t.revision = v.Revision
	close(t.advanced)
	t.advanced = make(chan struct{})
	return lost
}

// reached returns nil when the view of that revision was taken in, else what
// to wait for.
func (t *slots) reached(revision uint64) <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.revision >= revision {
		return nil
	}
	return t.advanced
}

// has is true when the view of that revision was taken in.
func (t *slots) has(revision uint64) bool { return t.reached(revision) == nil }

// viewRevision is that of the newest view taken in.
func (t *slots) viewRevision() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.revision
}

// states counts the owned slots: ready ones; warming ones, gained less than the
// warm deadline ago and waiting for a room; late ones, waiting for longer.
func (t *slots) states(now time.Time) (ready, warming, late int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for s := range slot.Count {
		switch {
		case !t.owned[s].Load():
		case t.missing[s].Load() == 0:
			ready++
		case now.Sub(t.gained[s]) < t.warm:
			warming++
		default:
			late++
		}
	}
	return ready, warming, late
}

// stray notes that a session was stored in a slot that is not owned.
func (t *slots) stray(s uint16, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.strays[int(s)]; !ok && !t.owned[s].Load() {
		t.strays[int(s)] = now
	}
}

// expired takes out the slots that have been strays since before then.
func (t *slots) expired(before time.Time) (out []int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for s, since := range t.strays {
		switch {
		case t.owned[s].Load():
			delete(t.strays, s)
		case since.Before(before):
			delete(t.strays, s)
			out = append(out, s)
		}
	}
	return out
}
