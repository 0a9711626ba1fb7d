package center

import (
	"context"
	"math/rand/v2"
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
