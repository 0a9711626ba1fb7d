package rpc

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"longlink/pkg/api"
	"longlink/pkg/cluster"
	"longlink/pkg/code"
)

// stream is a worker's way to one instance.
type stream[I, R any] struct {
	addr   string // that it leads to
	do     Exchange[I, R]
	cancel context.CancelFunc
	number uint64
	under  uint64 // the view's revision that the last batch was sent with
	fails  int
}

// send is one batch of a worker, to the instance or, where any serves, to a
// spare one while it does not answer. The batch waits for its answer wherever it
// is sent, and the worker for the batch: so the items of one device stay in
// order when they move and when they move back.
func (d *dest[I, R]) send(ctx context.Context, worker int, calls []call[I, R]) {
	s := &d.streams[worker]
	to := d.serving(worker)
	live, results, sent, err := d.attempt(ctx, s, to, calls)
	if err != nil && !sent && ctx.Err() == nil {
		if spare := d.serving(worker); spare.RPC != to.RPC {
			live, results, sent, err = d.attempt(ctx, s, spare, live)
		}
	}
	if err == nil {
		s.fails = 0
		for i, x := range live {
			if d.c.peers.disputed(results[i].GetResult(), s.under) {
				d.c.peers.Relist()
			}
			d.finish(x, results[i], ErrorOf(results[i].GetResult()))
		}
		return
	}
	e := FromStatus(err)
	switch {
	case sent:
		e = &code.Error{Code: d.c.cfg.Lost, Message: e.Message}
	case e.Code != code.Shutdown:
		e = &code.Error{Code: code.Unavailable, Message: e.Message}
	}
	var none R
	for _, x := range live {
		d.finish(x, none, e)
	}
	d.pause(ctx, s)
}

// attempt sends what is still in time to one instance. A stream that turns out to
// have ended before the batch left, as after a restart of the other side, is
// replaced once.
func (d *dest[I, R]) attempt(ctx context.Context, s *stream[I, R], to cluster.Instance, calls []call[I, R]) (live []call[I, R], r []R, sent bool, err error) {
	live, items := d.fresh(calls)
	if len(items) == 0 {
		return nil, nil, false, nil
	}
	used := s.do != nil && s.addr == to.RPC
	r, sent, err = d.exchange(ctx, s, to.RPC, items)
	if err != nil && !sent && used && ctx.Err() == nil {
		r, sent, err = d.exchange(ctx, s, to.RPC, items)
	}
	return live, r, sent, err
}

// fresh answers the items whose time is over and notes in the others what is
// left of it.
func (d *dest[I, R]) fresh(calls []call[I, R]) (live []call[I, R], items []I) {
	now := time.Now()
	live, items = calls[:0], make([]I, 0, len(calls))
	for _, x := range calls {
		if !x.deadline.IsZero() {
			left := x.deadline.Sub(now)
			if left <= 0 {
				var none R
				d.finish(x, none, code.Errorf(code.Deadline, "waited too long in the queue to %s", d.c.cfg.Target))
				continue
			}
			if m := x.item.GetMeta(); m != nil {
				m.RemainingMs = uint32(left.Milliseconds()) + 1
			}
		}
		live, items = append(live, x), append(items, x.item)
	}
	return live, items
}

// exchange opens the stream to addr when there is none. sent says whether the
// other side may have seen the batch.
func (d *dest[I, R]) exchange(ctx context.Context, s *stream[I, R], addr string, items []I) (r []R, sent bool, err error) {
	if s.do != nil && s.addr != addr {
		s.close()
	}
	err = d.c.guard.Guard("rpc.call", func() error {
		if s.do == nil {
			if err := d.open(ctx, s, addr); err != nil {
				return err
			}
		}
		sent = true
		s.number++
		s.under = d.c.peers.views.View().Revision
		timer := time.AfterFunc(d.c.cfg.Timeout, s.cancel)
		defer func() {
			if !timer.Stop() {
				d.c.peers.refusals.note(addr, "no answer in time")
			}
		}()
		var err error
		r, err = s.do(&api.BatchHeader{Number: s.number, ViewRevision: s.under,
			Sender: d.c.peers.self.ID, SenderEpoch: d.c.peers.self.Epoch}, items)
		return err
	})
	if err != nil {
		s.close()
	}
	var unsent *UnsentError
	if errors.As(err, &unsent) {
		sent = false
	}
	return r, sent, err
}

// close ends the stream, if there is one.
func (s *stream[I, R]) close() {
	if s.cancel != nil {
		s.cancel()
	}
	s.do, s.cancel = nil, nil
}

func (d *dest[I, R]) open(ctx context.Context, s *stream[I, R], addr string) error {
	cc, err := d.c.peers.Conn(addr)
	if err != nil {
		return err
	}
	sctx, cancel := context.WithCancel(ctx)
	do, err := d.c.method(sctx, cc)
	if err != nil {
		cancel()
		return err
	}
	s.addr, s.do, s.cancel, s.number = addr, do, cancel, 0
	return nil
}

// pause waits after a failure, 25 ms doubling to 800 ms with jitter, so that a
// dead destination costs little; meanwhile the queue fills and then refuses.
func (d *dest[I, R]) pause(ctx context.Context, s *stream[I, R]) {
	s.fails = min(s.fails+1, 6)
	wait := 25 * time.Millisecond << (s.fails - 1)
	t := time.NewTimer(wait/2 + rand.N(wait/2))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
