package register

import (
	"longlink/pkg/cluster"
	"longlink/pkg/slot"
)

// guest is one life of a room that this instance has met in a view, from then
// until it is dead (a later life is in the view) or was away for hide_for.
//
// A slot waits for a room that may have sessions in it which this instance does
// not know. Those are:
//
//   - of a slot that is gained: every guest, also one that is away just now: it
//     may be alive with its devices and only cut off from etcd;
//   - of a room that is met: every slot that is owned. Mostly it is a new one,
//     which has nothing and says so at once; but it may have been outside the
//     view when the slot was gained, or for so long that it was forgotten here
//     and its sessions deleted.
//
// A guest that comes back after less than hide_for is waited for where it was
// before: its sessions were only hidden.
type guest struct {
	present bool
	// unseen is the newest view without it. What it reports under that view or an
	// older one says nothing of now.
	unseen uint64
	owes   bits // the slots that wait for it
}

// bits is a set of slots.
type bits [slot.Count / 64]uint64

func (b *bits) has(s int) bool { return b[s/64]&(1<<(s%64)) != 0 }
func (b *bits) set(s int)      { b[s/64] |= 1 << (s % 64) }
func (b *bits) clear(s int)    { b[s/64] &^= 1 << (s % 64) }

// meet brings the guests up to date with a view. mu is held.
func (t *slots) meet(v *cluster.View) {
	live := map[string]uint64{}
	for _, i := range v.Kind(cluster.Room) {
		live[i.ID] = i.Epoch
	}
	for room, g := range t.guests {
		switch epoch := live[room.id]; {
		case epoch > room.epoch:
			t.dismiss(room, g)
		case epoch != room.epoch:
			g.present, g.unseen = false, v.Revision
		}
	}
	for id, epoch := range live {
		room := roomKey{id, epoch}
		g := t.guests[room]
		if g == nil {
			g = &guest{unseen: t.revision}
			t.guests[room] = g
			for s := range slot.Count {
				if t.owned[s].Load() {
					t.await(g, s)
				}
			}
		}
		g.present = true
	}
}

func (t *slots) await(g *guest, s int) {
	if !g.owes.has(s) {
		g.owes.set(s)
		t.missing[s].Add(1)
	}
}

func (t *slots) arrived(g *guest, s int) {
	if g.owes.has(s) {
		g.owes.clear(s)
		t.missing[s].Add(-1)
	}
}

// dismiss ends the waits for a guest, whose sessions do not count any more.
func (t *slots) dismiss(room roomKey, g *guest) {
	for s := range slot.Count {
		t.arrived(g, s)
	}
	delete(t.guests, room)
}

// forget dismisses a room that was away too long, and is true unless it is back.
func (t *slots) forget(room roomKey) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	g := t.guests[room]
	if g != nil && g.present {
		return false
	}
	if g != nil {
		t.dismiss(room, g)
	}
	return true
}

// done notes that a room has pushed its sessions of the slots under a view.
func (t *slots) done(room roomKey, revision uint64, list []uint32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	g := t.guests[room]
	if g == nil || revision <= g.unseen {
		return
	}
	for _, s := range list {
		if s < slot.Count && t.owned[s].Load() && revision > t.foreign[s] {
			t.arrived(g, int(s))
		}
	}
}

// owed is how many slots wait for a room.
func (t *slots) owed(room roomKey) (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	g := t.guests[room]
	if g == nil || g.owes == (bits{}) {
		return 0
	}
	for s := range slot.Count {
		if g.owes.has(s) {
			n++
		}
	}
	return n
}
