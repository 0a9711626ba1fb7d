package saver

import (
	"context"
	"sync"
	"time"

	"longlink/pkg/api"
	"longlink/pkg/batch"
	"longlink/pkg/cluster"
	"longlink/pkg/code"
	"longlink/pkg/lifecycle"
	"longlink/pkg/rpc"
	"longlink/pkg/slot"
	"longlink/saver/lane"
)

// sweep finds what slipped between an append and its delivery. A message that
// was stored is delivered by center; the sweep keeps its lane (unsettled.go)
// until an ack through this saver has passed it. What was not acknowledged after
// `after` costs a locate: a device that is certainly offline loads at its next
// login. For one that is online the room is told of the newest seq, and then its
// rule is in charge. So a message that arrives costs nothing here, any other one
// at most a locate and a delivery, and a device costs nothing.
//
// What the table of another life of a saver held is learnt from the ledger
// (inherit.go).
type sweep struct {
	s     *Saver
	table *unsettled
	more  chan struct{} // capacity 1: an answer has come, others may be asked about

	locates  *rpc.Caller[*api.LocateItem, *api.LocateResult]
	delivers *rpc.Caller[*api.DeliverItem, *api.DeliverResult]
	looks    *batch.Queue[question]

	seen *cluster.View // by run
}

// sweepOut bounds the questions on their way, below what a Caller queues for one
// destination.
const sweepOut = 2048

// sweepDeadline ends each of the two calls of a question.
const sweepDeadline = 4 * time.Second

func newSweep(s *Saver) *sweep {
	c, peers := s.cfg.Sweep, s.deps.Peers
	w := &sweep{s: s, more: make(chan struct{}, 1),
		table: newUnsettled(c.After.Std(), c.MaxAge.Std(), c.Lanes, time.Now(), s.metrics.sweepPending)}
	w.locates = rpc.NewCaller(peers, rpc.Locate, rpc.CallerConfig{Target: "sweep.locate", Kind: cluster.Register, Timeout: sweepDeadline})
	w.delivers = rpc.NewCaller(peers, rpc.Deliver, rpc.CallerConfig{Target: "sweep.deliver", Kind: cluster.Room, Timeout: sweepDeadline})
	w.looks = batch.New(batch.Config{Target: "sweep.look", Workers: 1, Limit: sweepOut, Max: s.cfg.Work.Batch}, s.deps.Batches, w.look,
		func([]question) {}) // the stop: nobody asks any more
	return w
}

func (w *sweep) start(ctx context.Context, g *lifecycle.Group) {
	w.looks.Run(ctx, g)
	g.Go("saver.sweep", w.run)
	g.Go("saver.inherit", w.inherit)
}

func (w *sweep) run(ctx context.Context) error {
	t := time.NewTicker(w.table.tick)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		case <-w.more:
		}
		now := time.Now()
		if w.others() {
			w.table.hurry(now)
		}
		due, expired, abandoned := w.table.take(now, sweepOut)
		w.s.metrics.swept("EXPIRED", expired)
		w.s.metrics.swept("ABANDONED", abandoned)
		for _, q := range due {
			switch {
			case !q.look:
				w.locate(q)
			case !w.looks.Put(slot.Key(q.ref.Device), q):
				w.unanswered(q, code.RateLimited, "sweep: too many lanes are looked at")
			}
		}
	}
}

// others is true when the view shows another set of registers or rooms than at
// the last call.
func (w *sweep) others() bool {
	v := w.s.deps.Peers.Views().View()
	old := w.seen
	w.seen = v
	if old == nil || old == v {
		return false
	}
	for _, k := range []cluster.Kind{cluster.Register, cluster.Room} {
		a, b := old.Kind(k), v.Kind(k)
		if len(a) != len(b) {
			return true
		}
		for i := range a {
			if a[i].ID != b[i].ID || a[i].Epoch != b[i].Epoch {
				return true
			}
		}
	}
	return false
}

// look asks the lanes for messages whose append was answered UNKNOWN. A room
// must not be told of a seq that Redis has not assigned, or has lost before the
// ledger had it: it would load until the slot's clock passes it.
func (w *sweep) look(_ context.Context, _ int, qs []question) {
	var wg sync.WaitGroup
	wg.Add(len(qs))
	jobs := make([]*peekJob, len(qs))
	for i, q := range qs {
		jobs[i] = &peekJob{task: task[lane.Peeked]{ref: q.ref, wg: &wg}, seq: q.seq}
		w.s.peeks.put(jobs[i])
	}
	wg.Wait()
	for i, j := range jobs {
		switch {
		case j.err != nil:
			w.unanswered(qs[i], j.err.Code, "sweep: the lane cannot be looked at")
		case j.result.Found:
			w.locate(qs[i])
		default:
			w.s.metrics.swept("MISSING", 1)
			w.table.missing(qs[i], time.Now())
			w.poke()
		}
	}
}

func (w *sweep) locate(q question) {
	item := &api.LocateItem{Meta: &api.Meta{}, Device: q.ref.Device, Product: q.ref.Product}
	w.locates.ToOwner(q.ref.Slot, slot.Key(q.ref.Device), time.Now().Add(sweepDeadline), item, func(r *api.LocateResult, err *code.Error) {
		switch {
		case err != nil && err.Code == code.Offline:
			w.settled(q, code.Offline.String(), code.Offline, "sweep: not connected; the next login loads it")
		case err != nil:
			w.unanswered(q, err.Code, "sweep: no register knows where the device is")
		default:
			w.deliver(q, r)
		}
	})
}

// deliver tells the room of the newest seq of the lane. prev is the seq itself,
// so that the room's rule never writes this delivery, which has no payload, but
// loads the lane, or finds that it was sent (room/lane.go).
func (w *sweep) deliver(q question, at *api.LocateResult) {
	room, ok := w.s.deps.Peers.Views().View().Get(cluster.Room, at.Room)
	if !ok || room.Epoch != at.RoomEpoch {
		w.unanswered(q, code.NotReady, "sweep: the room is not in the view")
		return
	}
	item := &api.DeliverItem{Meta: &api.Meta{}, Device: q.ref.Device, Product: q.ref.Product, Conn: at.Conn, Epoch: at.Epoch,
		Message: &api.LaneMessage{Seq: q.seq, Prev: q.seq, Message: &api.Message{}}}
	w.delivers.Submit(room, slot.Key(q.ref.Device), time.Now().Add(sweepDeadline), item, func(r *api.DeliverResult, err *code.Error) {
		if err != nil {
			w.unanswered(q, err.Code, "sweep: the room does not answer")
			return
		}
		switch r.State {
		case api.DeliverResult_STATE_HAVE:
			w.settled(q, "HAVE", code.OK, "sweep: the room knows of it")
		case api.DeliverResult_STATE_DUPLICATE:
			w.settled(q, "DUPLICATE", code.OK, "sweep: it was sent before")
		case api.DeliverResult_STATE_SENT:
			w.settled(q, "SENT", code.OK, "sweep: sent")
		case api.DeliverResult_STATE_UNBOUND: // a bind loads
			w.settled(q, "UNBOUND", code.DropUnbound, "sweep: a bind loads it")
		case api.DeliverResult_STATE_GONE:
			w.s.metrics.swept("GONE", 1)
			w.s.traceHanded(q, code.DropGone, "sweep: the room does not have the session any more")
			w.table.moved(q, time.Now())
			w.poke()
		default:
			w.unanswered(q, code.Internal, "sweep: the room answers with a state that is not known")
		}
	})
}

func (w *sweep) settled(q question, result string, c code.Code, detail string) {
	w.s.metrics.swept(result, 1)
	w.s.traceHanded(q, c, detail)
	w.table.settled(q)
	w.poke()
}

func (w *sweep) unanswered(q question, c code.Code, detail string) {
	w.s.metrics.swept(c.String(), 1)
	w.s.traceHanded(q, c, detail)
	w.table.unanswered(q, time.Now())
	w.poke()
}

func (w *sweep) poke() {
	select {
	case w.more <- struct{}{}:
	default:
	}
}
