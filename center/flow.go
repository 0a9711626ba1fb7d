package center

import (
	"context"
	"sync"
	"time"

	"longlink/pkg/api"
	"longlink/pkg/code"
)

// States of an answered message.
const (
	stateSent   = "sent"   // handed to a room
	stateStored = "stored" // in Redis and in the ledger
	stateAcked  = "acked"
)

// push is one message and the devices it is for.
type push struct {
	product string
	payer   string // the product whose key pushes it; empty: the operator
	msg     *api.Message
	alias   string      // whose devices they are; empty: they were named
	devices []string    // known once an alias was looked up
	refused *code.Error // by the look-up
	targets []*target   // one for each device, once the push is admitted
}

// size is what the push takes of the budget, beside its targets.
func (p *push) size() int64 { return int64(len(p.msg.Payload) + len(p.msg.Ext)) }

// flight is the pushes of one call on their way to their devices. One goroutine
// (run) drives all of them: append, locate, deliver, each a step that ends in
// an event.
type flight struct {
	s       *server
	request string
	began   time.Time
	pushes  []*push
	stored  chan struct{} // closed when every append was answered
	taken   chan struct{} // closed when every qos 0 message was taken by a room or refused
	settled chan struct{} // closed when nothing more will happen

	// Owned by run.
	events   chan func() // a step's answer; has a place for every target
	deadline time.Time
	open     int // targets that are not final
	unstored int // targets whose append was not answered
	untaken  int // qos 0 targets that are not final
	later    retries

	mu sync.Mutex // guards what results reads of targets
}

// target is one device of a push.
type target struct {
	push   *push
	device string
	lane   *lane // nil: no other message of the flight goes there
	place  int   // in the lane

	// Owned by run.
	attempts  int
	refusal   *code.Error // of the append that is to be repeated
	relocated bool
	located   *api.LocateResult
	prev      uint64
	final     bool

	// Guarded by flight.mu.
	seq   uint64
	state string
	err   *code.Error
}

// aim makes the targets.
func (p *push) aim() {
	seen := make(map[string]bool, len(p.devices))
	p.targets = make([]*target, 0, len(p.devices))
	for _, d := range p.devices {
		t := &target{push: p, device: d, err: checkID("devices", d)}
		if t.err == nil && seen[d] {
			t.err = code.Invalid("devices", "the device is named twice")
		}
		seen[d] = true
		p.targets = append(p.targets, t)
	}
}

func newFlight(s *server, request string, began time.Time, pushes ...*push) *flight {
	f := &flight{s: s, request: request, began: began, pushes: pushes,
		stored: make(chan struct{}), taken: make(chan struct{}), settled: make(chan struct{})}
	n := 0
	for _, p := range pushes {
		n += len(p.targets)
	}
	f.events = make(chan func(), n)
	if len(pushes) > 1 {
		findLanes(pushes)
	}
	return f
}

// run drives the flight until every device is settled, or its time is over, or
// ctx ends.
func (f *flight) run(ctx context.Context) {
	defer close(f.settled)
	f.deadline = time.Now().Add(f.s.cfg.AppendTimeout.Std())
	f.launch()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for f.open > 0 {
		timer.Reset(time.Until(f.nextWake()))
		select {
		case event := <-f.events:
			event()
		case <-timer.C:
			if !time.Now().Before(f.deadline) {
				f.giveUp()
				break
			}
			f.repeat(time.Now())
		case <-ctx.Done():
			f.giveUp()
		}
	}
	f.s.metrics.stage("settled", f.began)
	for _, p := range f.pushes {
		for _, r := range f.results(p) {
			label := r.State
			if r.Error != nil {
				label = code.Code(r.Error.Code).String()
			}
			f.s.metrics.targets.WithLabelValues(label).Inc()
		}
	}
}

// launch begins with every target, in order.
func (f *flight) launch() {
	var first []*target
	for _, p := range f.pushes {
		for _, t := range p.targets {
			if t.err != nil {
				continue
			}
			f.open++
			f.accepted(t)
			if p.msg.Qos == 0 {
				f.untaken++
			} else {
				f.unstored++
			}
			first = append(first, t)
		}
	}
	f.checkTaken()
	f.checkStored()
	view := f.s.deps.Peers.Views().View()
	for _, t := range first {
		if t.push.msg.Qos == 0 {
			f.locate(t)
		} else {
			f.append(t, view)
		}
	}
}

// checkStored tells the answer that storing is over, and gives the delivery its
// own time.
func (f *flight) checkStored() {
	if f.unstored > 0 {
		return
	}
	close(f.stored)
	f.deadline = time.Now().Add(f.s.cfg.DeliverDeadline.Std())
}

func (f *flight) checkTaken() {
	if f.untaken == 0 {
		close(f.taken)
	}
}

// giveUp ends every open target as it stands.
func (f *flight) giveUp() {
	for _, p := range f.pushes {
		for _, t := range p.targets {
			if t.final || f.errOf(t) != nil {
				continue
			}
			switch {
			case p.msg.Qos == 0:
				f.finish(t, "", code.Errorf(code.Deadline, "no room has taken the message in time"))
			case t.state == "":
				f.answered(t, 0, errUnknown())
			default:
				f.finish(t, stateStored, nil)
			}
		}
	}
}
