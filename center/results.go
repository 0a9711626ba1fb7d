package center

import (
	"context"
	"time"

	"longlink/pkg/api"
	"longlink/pkg/code"
	"longlink/pkg/rpc"
)

// answered notes an append's answer.
func (f *flight) answered(t *target, seq uint64, err *code.Error) {
	if err != nil {
		f.finish(t, "", err)
	} else {
		f.mu.Lock()
		t.seq, t.state = seq, stateStored
		f.mu.Unlock()
	}
	f.unstored--
	f.checkStored()
}

func (f *flight) finish(t *target, state string, err *code.Error) {
	f.mu.Lock()
	if t.state != stateAcked {
		t.state = state
	}
	t.err = err
	f.mu.Unlock()
	t.final = true
	f.open--
	if t.push.msg.Qos == 0 {
		f.untaken--
		f.checkTaken()
	}
}

func (f *flight) errOf(t *target) *code.Error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return t.err
}

// handedOver returns when every qos 0 message was taken or refused, and every
// other one was taken by a room or its time, sent_wait, is over; or ctx ends.
func (f *flight) handedOver(ctx context.Context) {
	timer := time.NewTimer(f.s.cfg.SentWait.Std())
	defer timer.Stop()
	select {
	case <-f.taken:
	case <-ctx.Done():
		return
	}
	select {
	case <-f.settled:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// unacked are the targets that were stored.
func (f *flight) unacked() (out []*target) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.pushes {
		for _, t := range p.targets {
			if t.err == nil && t.seq > 0 {
				out = append(out, t)
			}
		}
	}
	return out
}

func (f *flight) acked(t *target) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t.state = stateAcked
}

// results is how the targets of a push stand now, in their order.
func (f *flight) results(p *push) []*api.PushResult {
	f.mu.Lock()
	defer f.mu.Unlock()
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
