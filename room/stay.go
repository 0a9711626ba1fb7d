package room

import (
	"context"
	"sync"
	"time"

	"longlink/pkg/api"
	"longlink/pkg/cluster"
	"longlink/pkg/code"
	"longlink/pkg/lifecycle"
	"longlink/pkg/rpc"
	"longlink/pkg/slot"
)

// ownStay follows this room's own presence in the registry. A room may be cut off
// from it and go on with its devices: its lease ends, registers hide its sessions
// and forget them after a while, or begin without having heard of it.
type ownStay struct {
	self    rpc.Identity
	entered int64 // of the stay seen last, 0 before the first
	held    bool  // the last view held it: for nobody was it away
}

// take looks for this room in a view. began: it has come in since the last look;
// away: it was there before, so that its devices may have been called offline.
func (o *ownStay) take(v *cluster.View) (began, away bool) {
	i, ok := v.Get(cluster.Room, o.self.ID)
	switch {
	case !ok || i.Epoch != o.self.Epoch:
		o.held = false
	case i.Held:
		o.held = true
	case i.Entered != o.entered:
		began, away = !o.held, !o.held && o.entered != 0
		o.entered, o.held = i.Entered, false
	}
	return began, away
}

// askTimeout is short because new views wait meanwhile.
const askTimeout = time.Second

// askIn is when the registers are asked next whether they wait for this room:
// half of retry_max to all of it.
func (r *Room) askIn() time.Duration { return time.Duration(r.backoff(16, 0)) * time.Millisecond }

// ask finds the registers that wait for this room although it has told them
// everything: one that lost slots and got them back waits for every room again,
// and this room's views may have jumped over that. What does not answer is asked
// the next time.
func (r *Room) ask(ctx context.Context, v *cluster.View, told *[slot.Count]owner) map[owner]bool {
	asked := map[owner]bool{}
	for _, o := range told {
		asked[o] = true
	}
	delete(asked, owner{})
	var mu sync.Mutex
	waiting := map[owner]bool{}
	g := lifecycle.NewGroup(ctx, r.log, r.deps.Life)
	for o := range asked {
		to, ok := v.Get(cluster.Register, o.id)
		if !ok {
			continue
		}
		g.Task("room refill", func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, askTimeout)
			defer cancel()
			cc, err := r.deps.Peers.Conn(to.RPC)
			if err == nil {
				_, err = api.NewRegisterClient(cc).Refilled(ctx, &api.RefilledRequest{Room: r.self.ID, RoomEpoch: r.self.Epoch,
					ViewRevision: v.Revision, Register: to.ID, RegisterEpoch: to.Epoch})
			}
			if e := rpc.FromStatus(err); e != nil && e.Code == code.FailedPrecondition {
				mu.Lock()
				waiting[o] = true
				mu.Unlock()
			}
			return nil
		})
	}
	_ = g.Wait() // its tasks return no error
	if len(waiting) > 0 {
		// What they have seen and this room has not must not be jumped over again.
		if err := cluster.Relist(ctx, r.deps.Peers.Views()); err != nil {
			r.log.Debug("the view could not be looked at again", "err", err)
		}
		r.log.Info("registers wait for sessions that they were told of before", "registers", len(waiting))
	}
	return waiting
}

// reloadTask loads the lanes of a session once more. While the room was away a
// register may have called the device offline, and then nobody looks after what
// was stored for it.
type reloadTask struct{ c *conn }

func (t reloadTask) run(l *loop) {
	c := t.c
	defer l.guard(c)
	if c.state != stateLive {
		return
	}
	for i := range c.lanes {
		if ln := &c.lanes[i]; ln.loaded && !ln.loading && ln.loadAt == 0 { // else a load is to come
			c.startLoad(ln) // its window may be closed: then it finds out what is to come
		}
	}
}
