package center

import (
	"context"
	"time"

	"longlink/pkg/api"
	"longlink/pkg/cluster"
	"longlink/pkg/code"
	"longlink/pkg/rpc"
	"longlink/pkg/slot"
)

// Push implements api.CenterServer. A push of one `device` that fails is
// answered with the error itself; one with `devices` is answered with a result
// per device, however many there are, and fails as a whole only when nothing
// was tried. The message is stored even if the caller goes away meanwhile.
func (s *server) Push(ctx context.Context, r *api.PushRequest) (*api.PushReply, error) {
	began := time.Now()
	p, err := s.plan(ctx, r, began)
	if err != nil {
		return nil, err
	}
	s.lookUp(ctx, []*push{p})
	if err := s.admit(p); err != nil {
		return nil, err
	}
	f := newFlight(s, rpc.RequestID(ctx), began, p)
	defer s.start(f)()
	if err := f.awaitStored(ctx); err != nil {
		return nil, err
	}
	if wait := time.Duration(r.WaitMs) * time.Millisecond; wait > 0 {
		s.awaitAcks(ctx, f, began.Add(wait))
		s.metrics.stage("acked", began)
	} else {
		f.handedOver(ctx)
	}
	return f.reply(r, p)
}

// start runs the flight, which outlives the answer. answered must be called
// once: the budget is given back when both the answer and the delivery are
// done.
func (s *server) start(f *flight) (answered func()) {
	done := make(chan struct{})
	s.group.Task("center.push", func(ctx context.Context) error {
		defer func() {
			for _, p := range f.pushes {
				s.budget.free(p.payer, len(p.targets), p.size())
			}
		}()
		f.run(ctx)
		<-done
		return nil
	})
	return func() { close(done) }
}

func (f *flight) awaitStored(ctx context.Context) error {
	select {
	case <-f.stored:
	case <-ctx.Done():
		return errUnknown()
	}
	f.s.metrics.stage("stored", f.began)
	return nil
}

// reply is the answer to one push of the flight.
func (f *flight) reply(r *api.PushRequest, p *push) (*api.PushReply, error) {
	reply := &api.PushReply{Id: p.msg.Id, Results: f.results(p)}
	if r.Device != "" {
		if e := rpc.ErrorOf(reply.Results[0].Error); e != nil {
			return nil, e
		}
	}
	return reply, nil
}

func errUnknown() *code.Error {
	return code.Errorf(code.Unknown, "it is not known whether the message was stored; repeat the push with the same dedup_id")
}

// plan checks everything that can be checked before anything is done.
func (s *server) plan(ctx context.Context, r *api.PushRequest, now time.Time) (*push, error) {
	who, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.mayActFor(who, r.Product); err != nil {
		return nil, err
	}
	devices, err := targetsOf(r)
	if err != nil {
		return nil, err
	}
	msg, err := encode(r, now)
	if err != nil {
		return nil, err
	}
	return &push{product: r.Product, payer: who.product, msg: msg, alias: r.Alias, devices: devices}, nil
}

// admit takes the push's part of the budget and makes its targets, or answers
// why it cannot go.
func (s *server) admit(p *push) *code.Error {
	if p.refused != nil {
		return p.refused
	}
	if err := s.budget.take(p.payer, len(p.devices), p.size()); err != nil {
		return err
	}
	p.aim()
	return nil
}

// targetsOf is the list of devices of a push; of one to an alias it is looked up
// later.
func targetsOf(r *api.PushRequest) ([]string, *code.Error) {
	var fields []string
	if r.Device != "" {
		fields = append(fields, "device")
	}
	if len(r.Devices) > 0 {
		fields = append(fields, "devices")
	}
	if r.Alias != "" {
		fields = append(fields, "alias")
	}
	switch {
	case len(fields) == 0:
		return nil, code.Invalid("device", "give one of device, devices and alias")
	case len(fields) > 1:
		return nil, code.Invalid(fields[1], "give only one of device, devices and alias, not %s as well", fields[0])
	case r.Alias != "":
		return nil, checkID("alias", r.Alias)
	case len(r.Devices) > maxDevices:
		return nil, code.Errorf(code.TooManyTargets, "%d devices, at most %d are taken; split the push", len(r.Devices), maxDevices).WithField("devices")
	case r.Device != "":
		return []string{r.Device}, checkID("device", r.Device)
	}
	return r.Devices, nil
}

// awaitAcks asks the savers of the devices' slots to tell when the acks pass,
// all at once, and returns when all have or the time is over.
func (s *server) awaitAcks(ctx context.Context, f *flight, until time.Time) {
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	open := f.unacked()
	s.each(ctx, "center.wait", len(open), len(open), func(ctx context.Context, n int) {
		t := open[n]
		for try := 0; ctx.Err() == nil; try++ {
			cc, err := s.deps.Peers.ToServing(cluster.Saver, slot.Of(t.device))
			if err == nil {
				var rep *api.WaitAckReply
				rep, err = api.NewSaverClient(cc).WaitAck(ctx, &api.WaitAckRequest{Device: t.device, Product: t.push.product, Seq: t.seq, WaitMs: uint32(time.Until(until).Milliseconds()) + 1})
				if err == nil && rep.Acked {
					f.acked(t)
					return
				}
			}
			wait := backoff(try)
			switch e := rpc.FromStatus(err); {
			case e == nil:
			case e.Code == code.Deadline:
				return
			case e.Code == code.RateLimited: // too many wait there: not as soon as after a failure
				wait = max(wait, time.Duration(e.RetryMS())*time.Millisecond)
			}
			pause(ctx, wait)
		}
	})
}
