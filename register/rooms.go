package register

import (
	"sync"
	"sync/atomic"
	"time"

	"longlink/pkg/cluster"
)

// rooms knows which lives of rooms are in the view, and since when the others
// that have sessions here are not.
type rooms struct {
	live atomic.Pointer[map[string]uint64] // room id to epoch, immutable

	mu     sync.Mutex
	hidden map[roomKey]time.Time
	untold map[roomKey]time.Time // when the log last said that they could not be told
}

// untoldEvery is how often the log says of one room that it is not told of
// displaced sessions: each of its devices that logs in elsewhere is such a case.
const untoldEvery = time.Minute

// presence is what the view says of a session's room.
type presence int

const (
	present presence = iota
	// absent: the view does not have the room, or only an earlier life of it
	// than the session's, which means that the view is behind.
	absent
	// dead: the view has a later life of the room.
	dead
)

func newRooms() *rooms {
	r := &rooms{hidden: map[roomKey]time.Time{}, untold: map[roomKey]time.Time{}}
	r.live.Store(&map[string]uint64{})
	return r
}

// take takes a view in.
func (r *rooms) take(v *cluster.View, now time.Time) {
	next := map[string]uint64{}
	for _, i := range v.Kind(cluster.Room) {
		next[i.ID] = i.Epoch
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, epoch := range *r.live.Load() {
		if next[id] != epoch {
			r.hidden[roomKey{id, epoch}] = now
		}
	}
	for id, epoch := range next {
		delete(r.hidden, roomKey{id, epoch})
	}
	r.live.Store(&next)
}

func (r *rooms) presence(k roomKey) presence {
	epoch, ok := (*r.live.Load())[k.id]
	switch {
	case ok && epoch == k.epoch:
		return present
	case ok && epoch > k.epoch:
		return dead
	}
	return absent
}

// hide notes that a room which is not in the view has a session here.
func (r *rooms) hide(k roomKey, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.hidden[k]; !ok && r.presence(k) != present {
		r.hidden[k] = now
	}
}

// left is true for a room that is not in the view and not hidden either: its
// time is over, and it has sent nothing since.
func (r *rooms) left(k roomKey) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, hidden := r.hidden[k]
	return !hidden && r.presence(k) != present
}

// expired takes out the rooms that have been hidden since before then.
func (r *rooms) expired(before time.Time) map[roomKey]bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out map[roomKey]bool
	for k, since := range r.hidden {
		if since.Before(before) {
			if out == nil {
				out = map[roomKey]bool{}
			}
			out[k] = true
			delete(r.hidden, k)
		}
	}
	return out
}

// complain notes that a room could not be told, and is true when the log has not
// said so for untoldEvery.
func (r *rooms) complain(k roomKey, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for other, at := range r.untold {
		if now.Sub(at) >= untoldEvery {
			delete(r.untold, other)
		}
	}
	if _, ok := r.untold[k]; ok {
		return false
	}
	r.untold[k] = now
	return true
}
