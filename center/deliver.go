package center

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"longlink/pkg/api"
	"longlink/pkg/cluster"
	"longlink/pkg/code"
	"longlink/pkg/rpc"
	"longlink/pkg/slot"
)

// States of an answered message.
const (
	stateSent   = "sent"   // handed to a room
	stateStored = "stored" // in Redis and in the ledger
	stateAcked  = "acked"
)

// push is one message on its way to its devices. One goroutine (run) drives all
// of them: append, locate, deliver, each a step that ends in an event.
type push struct {
	s       *server
	request string
	product string
	msg     *api.Message
	began   time.Time
	stored  chan struct{} // closed when every append was answered
	settled chan struct{} // closed when nothing more will happen

	// Owned by run.
	events   chan func() // a step's answer; has a place for every target
	deadline time.Time
	open     int // targets that are not final
	unstored int // targets whose append was not answered
	later    []retry

	mu      sync.Mutex // guards what results reads of targets
	targets []*target
}

// target is one device of a push.
type target struct {
	device string

	// Owned by run.
	attempts  int
	relocated bool
	located   *api.LocateResult
	prev      uint64
	final     bool

	// Guarded by push.mu.
	seq   uint64
	state string
	err   *code.Error
}

type retry struct {
	at time.Time
	do func()
}

func newPush(s *server, request, product string, msg *api.Message, devices []string, began time.Time) *push {
	p := &push{s: s, request: request, product: product, msg: msg, began: began,
		stored: make(chan struct{}), settled: make(chan struct{}), events: make(chan func(), len(devices))}
	seen := make(map[string]bool, len(devices))
	for _, d := range devices {
		t := &target{device: d, err: checkID("devices", d)}
		if t.err == nil && seen[d] {
			t.err = code.Invalid("devices", "the device is named twice")
		}
		seen[d] = true
		p.targets = append(p.targets, t)
	}
	return p
}

// run drives the push until every device is settled, or its time is over, or
// ctx ends.
func (p *push) run(ctx context.Context) {
	defer close(p.settled)
	p.deadline = p.began.Add(p.s.cfg.AppendTimeout.Std())
	for _, t := range p.targets {
		if t.err != nil {
			continue
		}
		p.open++
		if p.msg.Qos == 0 {
			p.locate(t)
		} else {
			p.unstored++
			p.append(t)
		}
	}
	p.checkStored()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for p.open > 0 {
		timer.Reset(time.Until(p.nextWake()))
		select {
		case event := <-p.events:
			event()
		case <-timer.C:
			if !time.Now().Before(p.deadline) {
				p.giveUp()
				break
			}
			p.repeat(time.Now())
		case <-ctx.Done():
			p.giveUp()
		}
	}
	p.s.metrics.stage("settled", p.began)
	for _, r := range p.results() {
		label := r.State
		if r.Error != nil {
			label = code.Code(r.Error.Code).String()
		}
		p.s.metrics.targets.WithLabelValues(label).Inc()
	}
}

// checkStored tells the answer that storing is over, and gives the delivery its
// own time.
func (p *push) checkStored() {
	if p.unstored > 0 {
		return
	}
	close(p.stored)
	p.deadline = time.Now().Add(p.s.cfg.DeliverDeadline.Std())
}

// giveUp ends every open target as it stands.
func (p *push) giveUp() {
	for _, t := range p.targets {
		if t.final || p.errOf(t) != nil {
			continue
		}
		switch {
		case p.msg.Qos == 0:
			p.finish(t, "", code.Errorf(code.Deadline, "no room has taken the message in time"))
		case t.state == "":
			p.answered(t, 0, errUnknown())
		default:
			p.finish(t, stateStored, nil)
		}
	}
}

func (p *push) append(t *target) {
	item := &api.AppendItem{Meta: p.meta(), Device: t.device, Product: p.product, Message: p.msg}
	p.s.appends.ToOwner(slot.Of(t.device), slot.Key(t.device), p.deadline, item, func(r *api.AppendResult, err *code.Error) {
		p.events <- func() { p.onAppend(t, r, err) }
	})
}

func (p *push) onAppend(t *target, r *api.AppendResult, err *code.Error) {
	switch {
	case t.final:
	case err != nil && (err.Code == code.NotReady || err.Code == code.WrongOwner):
		p.again(t, "append", err, func() { p.append(t) })
	case err != nil:
		p.answered(t, 0, err)
	default:
		t.prev = r.Prev
		if r.Duplicate {
			// What was stored first may differ from what was sent now, and its place
			// in the lane is old: let the room load it.
			t.prev = r.Seq - 1
		}
		p.answered(t, r.Seq, nil)
		p.locate(t)
	}
}

// answered notes an append's answer.
func (p *push) answered(t *target, seq uint64, err *code.Error) {
	if err != nil {
		p.finish(t, "", err)
	} else {
		p.mu.Lock()
		t.seq, t.state = seq, stateStored
		p.mu.Unlock()
	}
	p.unstored--
	p.checkStored()
}

func (p *push) locate(t *target) {
	item := &api.LocateItem{Meta: p.meta(), Device: t.device, Product: p.product}
	p.s.locates.ToOwner(slot.Of(t.device), slot.Key(t.device), p.deadline, item, func(r *api.LocateResult, err *code.Error) {
		p.events <- func() { p.onLocate(t, r, err) }
	})
}

func (p *push) onLocate(t *target, r *api.LocateResult, err *code.Error) {
	switch {
	case t.final:
	case err != nil && err.Code == code.Offline:
		p.undelivered(t, err)
	case err != nil && err.Code.Action() == code.Never:
		p.undelivered(t, err)
	case err != nil:
		p.again(t, "locate", err, func() { p.locate(t) })
	default:
		t.located = r
		p.deliver(t)
	}
}

func (p *push) deliver(t *target) {
	at := t.located
	room, ok := p.s.deps.Peers.Views().View().Get(cluster.Room, at.Room)
	if !ok || room.Epoch != at.RoomEpoch {
		p.again(t, "room", code.Errorf(code.NotReady, "room %s is not in this center's view", at.Room), func() { p.locate(t) })
		return
	}
	item := &api.DeliverItem{Meta: p.meta(), Device: t.device, Product: p.product, Conn: at.Conn, Epoch: at.Epoch,
		Message: &api.LaneMessage{Seq: t.seq, Prev: t.prev, Message: p.msg}}
	p.s.delivers.Submit(room, slot.Key(t.device), p.deadline, item, func(r *api.DeliverResult, err *code.Error) {
		p.events <- func() { p.onDeliver(t, r, err) }
	})
}

func (p *push) onDeliver(t *target, r *api.DeliverResult, err *code.Error) {
	switch {
	case t.final:
	case err != nil && (p.msg.Qos == 0 || err.Code.Action() == code.Never):
		p.undelivered(t, err) // qos 0 is not sent twice
	case err != nil:
		p.again(t, "deliver", err, func() { p.locate(t) })
	default:
		p.onDelivered(t, r.State)
	}
}

func (p *push) onDelivered(t *target, state api.DeliverResult_State) {
	offline := code.Errorf(code.Offline, "the device is not connected, or takes nothing at the moment, and a qos 0 message is not stored")
	switch state {
	case api.DeliverResult_STATE_SENT:
		p.finish(t, stateSent, nil)
	case api.DeliverResult_STATE_HAVE, api.DeliverResult_STATE_DUPLICATE:
		if p.msg.Qos == 0 {
			p.undelivered(t, offline)
			return
		}
		p.finish(t, stateSent, nil) // the room answers for it from now on
	case api.DeliverResult_STATE_GONE:
		p.forget(t)
		if t.relocated {
			p.undelivered(t, offline)
			return
		}
		t.relocated = true
		p.locate(t)
	default: // unbound, dropped
		p.undelivered(t, offline)
	}
}

// forget tells the register's owner that the room does not have the session
// that it named: the owner compares, then deletes.
func (p *push) forget(t *target) {
	at := t.located
	item := &api.SessionItem{Meta: p.meta(), Op: api.SessionItem_OP_DELETE,
		Session: &api.Session{Device: t.device, Room: at.Room, RoomEpoch: at.RoomEpoch, Conn: at.Conn, Epoch: at.Epoch}}
	p.s.updates.ToOwner(slot.Of(t.device), slot.Key(t.device), p.deadline, item, func(*api.SessionResult, *code.Error) {})
}

// undelivered ends a target that no room took: stored, or qos 0's error.
func (p *push) undelivered(t *target, err *code.Error) {
	if p.msg.Qos == 0 {
		p.finish(t, "", err)
		return
	}
	p.finish(t, stateStored, nil)
}

func (p *push) finish(t *target, state string, err *code.Error) {
	p.mu.Lock()
	if t.state != stateAcked {
		t.state = state
	}
	t.err = err
	p.mu.Unlock()
	t.final = true
	p.open--
}

// again repeats a step after a back-off of 25 ms doubling to 800 ms with
// jitter, not under the error's hint, unless the deadline comes first.
func (p *push) again(t *target, step string, err *code.Error, do func()) {
	p.s.metrics.retries.WithLabelValues(step).Inc()
	at := time.Now().Add(max(backoff(t.attempts), min(err.Retry, time.Second)))
	t.attempts++
	if at.Before(p.deadline) {
		p.later = append(p.later, retry{at, do})
		return
	}
	if step == "append" {
		p.answered(t, 0, err)
	} else {
		p.undelivered(t, err)
	}
}

// repeat runs the steps that are due.
func (p *push) repeat(now time.Time) {
	all := p.later
	p.later = nil
	for _, r := range all {
		if r.at.After(now) {
			p.later = append(p.later, r)
		} else {
			r.do()
		}
	}
}

func (p *push) nextWake() time.Time {
	wake := p.deadline
	for _, r := range p.later {
		if r.at.Before(wake) {
			wake = r.at
		}
	}
	return wake
}

func (p *push) meta() *api.Meta { return &api.Meta{RequestId: p.request} }

func backoff(attempts int) time.Duration {
	d := 25 * time.Millisecond << min(attempts, 5)
	return d/2 + rand.N(d/2+1)
}

// pause waits as backoff says, or until ctx ends.
func pause(ctx context.Context, attempts int) {
	t := time.NewTimer(backoff(attempts))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

func (p *push) errOf(t *target) *code.Error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return t.err
}

// settledBy returns when every target is final, the time is over or ctx ends.
func (p *push) settledBy(ctx context.Context, until time.Time) {
	t := time.NewTimer(time.Until(until))
	defer t.Stop()
	select {
	case <-p.settled:
	case <-t.C:
	case <-ctx.Done():
	}
}

// unacked are the targets that were stored.
func (p *push) unacked() (out []*target) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range p.targets {
		if t.err == nil && t.seq > 0 {
			out = append(out, t)
		}
	}
	return out
}

func (p *push) acked(t *target) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t.state = stateAcked
}

// results is how the targets stand now, in their order.
func (p *push) results() []*api.PushResult {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]*api.PushResult, len(p.targets))
	for i, t := range p.targets {
		r := &api.PushResult{Device: t.device, Seq: t.seq, State: t.state}
		switch {
		case t.err != nil:
			r.Error = rpc.ResultOf(t.err)
		case t.state == "" && p.msg.Qos == 0:
			r.Error = rpc.ResultOf(code.Errorf(code.Deadline, "no room has taken the message in time"))
		case t.state == "":
			r.Error = rpc.ResultOf(errUnknown())
		}
		out[i] = r
	}
	return out
}
