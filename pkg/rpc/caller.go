package rpc

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"longlink/pkg/api"
	"longlink/pkg/batch"
	"longlink/pkg/cluster"
	"longlink/pkg/code"
	"longlink/pkg/lifecycle"
)

// CallerConfig of one hot call.
type CallerConfig struct {
	Target  string        // metric label: "saver.append"
	Kind    cluster.Kind  // of the destinations
	Workers int           // streams per destination, default 2
	Limit   int           // items queued per destination, default 4096
	Max     int           // items in a batch, default 256
	Timeout time.Duration // for the answer of a batch, default 5 s
	// Lost is the code of an item that was sent and never answered: UNKNOWN
	// where it may have taken effect; default UNAVAILABLE.
	Lost code.Code
}

type hotItem interface{ GetMeta() *api.Meta }
type hotResult interface{ GetResult() *api.Result }

// Caller sends the items of one hot call to any instance of a kind, with flow
// control per destination. Safe for use by many goroutines.
type Caller[I hotItem, R hotResult] struct {
	peers  *Peers
	method Method[I, R]
	cfg    CallerConfig
	guard  *lifecycle.Group // of panics only

	mu    sync.Mutex
	dests map[string]*dest[I, R] // by instance id and epoch's address
}

type call[I, R any] struct {
	item     I
	deadline time.Time
	done     func(R, *code.Error)
}

type dest[I hotItem, R hotResult] struct {
	c       *Caller[I, R]
	inst    cluster.Instance
	queue   *batch.Queue[call[I, R]]
	stop    context.CancelFunc
	streams []stream[I, R] // by worker, owned by it
}

type stream[I, R any] struct {
	do     Exchange[I, R]
	cancel context.CancelFunc
	number uint64
	fails  int
}

// NewCaller makes a caller on p.
func NewCaller[I hotItem, R hotResult](p *Peers, m Method[I, R], cfg CallerConfig) *Caller[I, R] {
	if cfg.Workers <= 0 {
		cfg.Workers = 2
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = 5 * time.Second
	}
	if cfg.Lost == code.OK {
		cfg.Lost = code.Unavailable
	}
	c := &Caller[I, R]{peers: p, method: m, cfg: cfg, dests: map[string]*dest[I, R]{},
		guard: lifecycle.NewGroup(context.Background(), p.log, p.life)}
	p.mu.Lock()
	p.callers = append(p.callers, c)
	p.mu.Unlock()
	return c
}

// Submit queues an item for the instance `to`. done is called exactly once,
// from a worker, and must not block: with the result, or with the item's own or
// the way's error: the code Lost when the item was sent and not answered,
// UNAVAILABLE when it was not sent. When the queue is full, done is called at
// once with RATE_LIMITED.
func (c *Caller[I, R]) Submit(to cluster.Instance, key uint64, deadline time.Time, item I, done func(R, *code.Error)) {
	d, err := c.dest(to)
	var none R
	if err != nil {
		done(none, err)
		return
	}
	if !d.queue.Put(key, call[I, R]{item, deadline, done}) {
		done(none, code.Errorf(code.RateLimited, "the queue to %s is full", c.cfg.Target))
	}
}

// ToOwner submits to the owner of a slot in the current view.
func (c *Caller[I, R]) ToOwner(slot uint16, key uint64, deadline time.Time, item I, done func(R, *code.Error)) {
	to, ok := c.peers.views.View().Owner(c.cfg.Kind, slot)
	if !ok {
		var none R
		done(none, code.Errorf(code.Unavailable, "no %s in the cluster", c.cfg.Kind))
		return
	}
	c.Submit(to, key, deadline, item, done)
}

// Do is ToOwner for callers that wait.
func (c *Caller[I, R]) Do(ctx context.Context, slot uint16, key uint64, item I) (R, *code.Error) {
	type answer struct {
		r   R
		err *code.Error
	}
	ch := make(chan answer, 1)
	deadline, _ := ctx.Deadline()
	c.ToOwner(slot, key, deadline, item, func(r R, err *code.Error) { ch <- answer{r, err} })
	select {
	case a := <-ch:
		return a.r, a.err
	case <-ctx.Done():
		var none R
		return none, code.Errorf(code.Deadline, "no answer in time from %s", c.cfg.Target)
	}
}

func (c *Caller[I, R]) dest(to cluster.Instance) (*dest[I, R], *code.Error) {
	key := to.ID + "@" + to.RPC
	c.mu.Lock()
	defer c.mu.Unlock()
	if d, ok := c.dests[key]; ok {
		return d, nil
	}
	c.peers.mu.Lock()
	defer c.peers.mu.Unlock() // until the workers run: see Peers.Run
	g := c.peers.group
	if g == nil {
		return nil, code.Errorf(code.Shutdown, "this instance is starting or stopping")
	}
	d := &dest[I, R]{c: c, inst: to}
	d.queue = batch.New(batch.Config{Target: c.cfg.Target, Workers: c.cfg.Workers, Limit: c.cfg.Limit, Max: c.cfg.Max},
		c.peers.batches, d.send, d.drop)
	d.streams = make([]stream[I, R], c.cfg.Workers)
	ctx, stop := context.WithCancel(g.Context())
	d.stop = stop
	c.dests[key] = d
	d.queue.Run(ctx, g)
	return d, nil
}

// prune stops the queues to instances that are gone; what they hold fails with
// UNAVAILABLE.
func (c *Caller[I, R]) prune(v *cluster.View) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, d := range c.dests {
		if i, ok := v.Get(c.cfg.Kind, d.inst.ID); !ok || i.RPC != d.inst.RPC {
			d.stop()
			delete(c.dests, key)
		}
	}
}

func (d *dest[I, R]) drop(calls []call[I, R]) {
	var none R
	for _, x := range calls {
		d.finish(x, none, code.Errorf(code.Unavailable, "%s %s is gone", d.c.cfg.Kind, d.inst.ID))
	}
}

// finish calls done so that its panic costs no other item.
func (d *dest[I, R]) finish(x call[I, R], r R, e *code.Error) {
	//nolint:errcheck // Guard logs and counts the panic; there is nobody to tell
	d.c.guard.Guard("rpc.done", func() error { x.done(r, e); return nil })
}

// send is one batch on the worker's stream. A stream that turns out to have
// ended before the batch left, as after a restart of the other side, is
// replaced once.
func (d *dest[I, R]) send(ctx context.Context, worker int, calls []call[I, R]) {
	s := &d.streams[worker]
	live, items := d.fresh(calls)
	if len(items) == 0 {
		return
	}
	used := s.do != nil
	results, sent, err := d.exchange(ctx, s, items)
	if err != nil && !sent && used && ctx.Err() == nil {
		results, sent, err = d.exchange(ctx, s, items)
	}
	if err == nil {
		s.fails = 0
		for i, x := range live {
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

// exchange opens the stream when there is none. sent says whether the other
// side may have seen the batch.
func (d *dest[I, R]) exchange(ctx context.Context, s *stream[I, R], items []I) (r []R, sent bool, err error) {
	err = d.c.guard.Guard("rpc.call", func() error {
		if s.do == nil {
			if err := d.open(ctx, s); err != nil {
				return err
			}
		}
		sent = true
		s.number++
		timer := time.AfterFunc(d.c.cfg.Timeout, s.cancel)
		defer timer.Stop()
		var err error
		r, err = s.do(&api.BatchHeader{Number: s.number, ViewRevision: d.c.peers.views.View().Revision,
			Sender: d.c.peers.self.ID, SenderEpoch: d.c.peers.self.Epoch}, items)
		return err
	})
	if err != nil && s.cancel != nil {
		s.cancel()
		s.do, s.cancel = nil, nil
	}
	var unsent *UnsentError
	if errors.As(err, &unsent) {
		sent = false
	}
	return r, sent, err
}

func (d *dest[I, R]) open(ctx context.Context, s *stream[I, R]) error {
	cc, err := d.c.peers.Conn(d.inst.RPC)
	if err != nil {
		return err
	}
	sctx, cancel := context.WithCancel(ctx)
	do, err := d.c.method(sctx, cc)
	if err != nil {
		cancel()
		return err
	}
	s.do, s.cancel, s.number = do, cancel, 0
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
