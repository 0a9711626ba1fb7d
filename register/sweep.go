package register

import (
	"context"
	"time"

	"longlink/pkg/cluster"
)

// take takes a new view in: rooms first, so that a slot is never ready before
// the rooms that it waits for are known.
func (r *Register) take(v *cluster.View) {
	now := time.Now()
	r.rooms.take(v, now)
	if lost := r.slots.take(v, now); lost > 0 {
		r.log.Info("slots went to other registers", "slots", lost, "revision", v.Revision)
	}
}

// sweep deletes sessions of rooms that have been hidden for too long, and those
// of slots that have not been this instance's for as long.
func (r *Register) sweep(ctx context.Context) error {
	t := time.NewTicker(r.cfg.SweepEvery.Std())
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-t.C:
			r.sweepOnce(now)
		}
	}
}

func (r *Register) sweepOnce(now time.Time) {
	before := now.Add(-r.cfg.HideFor.Std())
	for _, s := range r.slots.expired(before) {
		r.store.clear(s)
	}
	old := r.rooms.expired(before)
	for room := range old {
		if !r.slots.forget(room) {
			delete(old, room) // it has just come back
		}
	}
	if len(old) == 0 {
		return
	}
	// One that comes back from here on is met anew and pushes again what is
	// deleted; what it pushes meanwhile stays.
	n := r.store.deleteIf(func(s *session) bool {
		room := s.room.Value()
		return old[room] && r.rooms.left(room)
	})
	r.metrics.swept.Add(float64(n))
	r.log.Info("sessions of rooms that left were deleted", "rooms", len(old), "sessions", n)
}
