package room

import (
	"context"
	"slices"
	"time"

	"longlink/pkg/api"
	"longlink/pkg/cluster"
	"longlink/pkg/code"
	"longlink/pkg/lifecycle"
	"longlink/pkg/rpc"
	"longlink/pkg/slot"
)

// refillChunk is how many sessions are on their way to a register at once.
const refillChunk = 512

// owner is one stay of a register instance in the registry. One that was away,
// for whatever time, waits for every room again when it is back; a room whose
// views jumped over its absence knows it by entered.
type owner struct {
	id      string
	epoch   uint64
	entered int64
}

// refillLoop keeps the registers complete. A login enters the device table
// before it asks the view who owns its slot; a refill sees the new view before
// it takes its snapshot of the table. So a session that was sent to the old
// owner is in the snapshot, and one that is not in it goes to the new owner.
func (r *Room) refillLoop(ctx context.Context) error {
	views := r.deps.Peers.Views()
	var told [slot.Count]owner // who was told everything about a slot
	var unfound [slot.Count]bool
	own := ownStay{self: r.self}
	ask := time.NewTimer(r.askIn())
	defer ask.Stop()
	for {
		v := views.View()
		if began, away := own.take(v); began {
			told = [slot.Count]owner{} // registers wait for who comes in
			for s := range unfound {
				unfound[s] = unfound[s] || away
			}
		}
		need := map[owner][]uint16{}
		for s := range uint16(slot.Count) {
			i, ok := v.Owner(cluster.Register, s)
			o := owner{i.ID, i.Epoch, i.Entered}
			if told[s] == o || i.Held && told[s].id == o.id && told[s].epoch == o.epoch {
				continue // of a held one the registry's record does not say when it came in
			}
			told[s] = owner{} // also when it comes back later: it missed something
			if ok {
				need[o] = append(need[o], s)
			}
		}
		done := r.refillRound(ctx, v, need, unfound)
		for o, slots := range done {
			for _, s := range slots {
				told[s], unfound[s] = o, false
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-views.Changed(v):
		case <-ask.C:
			ask.Reset(r.askIn())
			if waiting := r.ask(ctx, v, &told); len(waiting) > 0 {
				for s := range told {
					if waiting[told[s]] {
						told[s] = owner{}
					}
				}
			}
		}
	}
}

// refillRound fills all registers side by side and returns those that took
// everything; it ends early when a newer view shows other stays than v.
func (r *Room) refillRound(ctx context.Context, v *cluster.View, need map[owner][]uint16, unfound [slot.Count]bool) map[owner][]uint16 {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	g := lifecycle.NewGroup(ctx, r.log, r.deps.Life)
	type outcome struct {
		o  owner
		ok bool
	}
	outcomes := make(chan outcome, len(need))
	for o, slots := range need {
		g.Task("room refill", func(ctx context.Context) error {
			i, _ := v.Get(cluster.Register, o.id)
			outcomes <- outcome{o, r.refill(ctx, v, i, slots, &unfound)}
			return nil
		})
	}
	done := map[owner][]uint16{}
	views := r.deps.Peers.Views()
	changed := views.Changed(v)
	for left := len(need); left > 0; {
		select {
		case out := <-outcomes:
			left--
			if out.ok {
				done[out.o] = need[out.o]
			}
		case <-changed:
			now := views.View()
			if changed = views.Changed(now); !r.sameStays(v, now) {
				left = 0
			}
		case <-ctx.Done():
			left = 0
		}
	}
	g.Cancel()
	_ = g.Wait() // its tasks return no error
	return done
}

// sameStays is true when what a refill rests on is the same in two views: the
// registers' stays and this room's own. Rounds that ended with every view would
// never come to their end where instances of other kinds come and go.
func (r *Room) sameStays(a, b *cluster.View) bool {
	self, was := a.Get(cluster.Room, r.self.ID)
	now, is := b.Get(cluster.Room, r.self.ID)
	if was != is || self.Epoch != now.Epoch || self.Entered != now.Entered || self.Held != now.Held {
		return false
	}
	return slices.EqualFunc(a.Kind(cluster.Register), b.Kind(cluster.Register), func(a, b cluster.Instance) bool {
		return a.ID == b.ID && a.Epoch == b.Epoch && a.Entered == b.Entered
	})
}

// refill sends the sessions of the slots to their new owner and then tells it
// that this was all. False when ctx ended first.
func (r *Room) refill(ctx context.Context, v *cluster.View, to cluster.Instance, slots []uint16, unfound *[slot.Count]bool) bool {
	began := time.Now()
	var mine [slot.Count]bool
	req := &api.RefilledRequest{Room: r.self.ID, RoomEpoch: r.self.Epoch, ViewRevision: v.Revision,
		Register: to.ID, RegisterEpoch: to.Epoch}
	for _, s := range slots {
		mine[s] = true
		req.Slots = append(req.Slots, uint32(s))
	}
	all := r.devices.snapshot(func(c *conn) bool { return mine[slot.Of(c.device)] })
	for at := 0; at < len(all); at += refillChunk {
		if !r.repeat(ctx, func(ctx context.Context) *code.Error {
			return r.refillSome(ctx, all[at:min(at+refillChunk, len(all))], unfound)
		}) {
			return false
		}
	}
	ok := r.repeat(ctx, func(ctx context.Context) *code.Error {
		cc, err := r.deps.Peers.Conn(to.RPC)
		if err == nil {
			_, err = api.NewRegisterClient(cc).Refilled(ctx, req)
		}
		return rpc.FromStatus(err)
	})
	if ok {
		r.log.Info("register refilled", "register", to.ID, "slots", len(slots), "sessions", len(all), "took", time.Since(began))
	}
	return ok
}

// repeat calls fn, with call_timeout, until it succeeds; false when ctx ends.
func (r *Room) repeat(ctx context.Context, fn func(context.Context) *code.Error) bool {
	for n := uint8(0); ctx.Err() == nil; n = min(n+1, 16) {
		cctx, cancel := context.WithTimeout(ctx, 2*time.Duration(r.cfg.CallTimeout))
		err := fn(cctx)
		cancel()
		if err == nil {
			return true
		}
		if n == 3 {
			r.log.Warn("refilling a register does not get on", "err", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(r.backoff(n, err.Retry)) * time.Millisecond):
		}
	}
	return false
}

// refillSome sends these sessions once; the first failure is returned when all
// are answered. Sending one twice does no harm. Sessions of the slots in unfound
// load their lanes when they are sent.
func (r *Room) refillSome(ctx context.Context, conns []*conn, unfound *[slot.Count]bool) *code.Error {
	answers := make(chan *code.Error, len(conns))
	for l, list := range byLoop(conns) {
		if !l.post(refillTask{list, answers, unfound}) {
			for range list {
				answers <- nil // the loop has ended, and its sessions
			}
		}
	}
	var first *code.Error
	for range conns {
		select {
		case err := <-answers:
			if first == nil {
				first = err
			}
		case <-ctx.Done():
			return code.Errorf(code.Deadline, "not every session was taken in time")
		}
	}
	return first
}

func byLoop(conns []*conn) map[*loop][]*conn {
	m := map[*loop][]*conn{}
	for _, c := range conns {
		m[c.loop] = append(m[c.loop], c)
	}
	return m
}

type refillTask struct {
	conns   []*conn
	answers chan *code.Error // has a place for each
	unfound *[slot.Count]bool
}

func (t refillTask) run(l *loop) {
	for _, c := range t.conns {
		t.one(l, c)
	}
}

func (t refillTask) one(l *loop, c *conn) {
	defer l.guard(c)
	if c.state != stateLive {
		t.answers <- nil
		return
	}
	c.put(true, &registered{c: c, change: c.reg.wanted, refill: func(err *code.Error) {
		if err == nil && t.unfound[slot.Of(c.device)] {
			l.post(reloadTask{c})
		}
		t.answers <- err
	}})
}
