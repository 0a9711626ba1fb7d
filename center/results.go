package center

import (
	"context"
	"time"

	"longlink/pkg/api"
	"longlink/pkg/code"
	"longlink/pkg/rpc"
)

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
