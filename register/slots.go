package register

import (
	"sync"
	"sync/atomic"
	"time"

	"longlink/pkg/cluster"
	"longlink/pkg/slot"
)

// slots knows which slots this instance owns in the newest view that it has
// taken in, and which of them still wait for rooms.
//
// A gained slot waits for every room that is in the view at that moment: each
// has sessions that only it knows of. A room that comes later has nothing to
// refill, it registers here from its first login on; one that leaves, or comes
// back as another life, is no longer waited for.
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
	waits   map[roomKey]*bits
	// strays are slots that hold sessions though they are not owned: they were
	// lost, or the room that sent a session knows a newer view.
	strays map[int]time.Time
}

// bits is a set of slots.
type bits [slot.Count / 64]uint64

func (b *bits) has(s int) bool { return b[s/64]&(1<<(s%64)) != 0 }
func (b *bits) set(s int)      { b[s/64] |= 1 << (s % 64) }
func (b *bits) clear(s int)    { b[s/64] &^= 1 << (s % 64) }

func newSlots(self string, warm time.Duration) *slots {
	return &slots{self: self, warm: warm, advanced: make(chan struct{}), waits: map[roomKey]*bits{}, strays: map[int]time.Time{}}
}

// take takes a view in and returns how many slots were lost. Their sessions
// stay for a while: a room that misses the view in which a slot was away does
// not push them again.
func (t *slots) take(v *cluster.View, now time.Time) (lost int) {
	live := map[roomKey]bool{}
	for _, i := range v.Kind(cluster.Room) {
		live[roomKey{i.ID, i.Epoch}] = true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for room, b := range t.waits {
		if !live[room] {
			t.forget(room, b)
		}
	}
	for s := range slot.Count {
		owner, ok := v.Owner(cluster.Register, uint16(s))
		switch mine := ok && owner.ID == t.self; {
		case mine && !t.owned[s].Load():
			t.gained[s] = now
			for room := range live {
				t.wait(room, s)
			}
			t.owned[s].Store(true) // last: who sees it owned sees it wait
		case !mine:
			t.foreign[s] = v.Revision
			if t.owned[s].Load() {
				t.owned[s].Store(false)
				for room, b := range t.waits {
					t.arrived(room, b, s)
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

func (t *slots) wait(room roomKey, s int) {
	b := t.waits[room]
	if b == nil {
		b = new(bits)
		t.waits[room] = b
	}
	b.set(s)
	t.missing[s].Add(1)
}

func (t *slots) arrived(room roomKey, b *bits, s int) {
	if !b.has(s) {
		return
	}
	b.clear(s)
	t.missing[s].Add(-1)
	if *b == (bits{}) {
		delete(t.waits, room)
	}
}

func (t *slots) forget(room roomKey, b *bits) {
	for s := range slot.Count {
		t.arrived(room, b, s)
	}
}

// done notes that a room has pushed its sessions of the slots under a view.
func (t *slots) done(room roomKey, revision uint64, list []uint32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.waits[room]
	if b == nil {
		return
	}
	for _, s := range list {
		if s < slot.Count && t.owned[s].Load() && revision > t.foreign[s] {
			t.arrived(room, b, int(s))
		}
	}
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
