package rpc

import (
	"context"
	"sync"
	"sync/atomic"
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
	// AnyServes: any instance of the kind serves any slot, its owner only best.
	// While an instance does not answer, its batches go to another one.
	AnyServes bool
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
	gone    atomic.Bool    // the view lacks it: what is queued goes to others
	streams []stream[I, R] // by worker, owned by it

	retiring bool // guarded by c.mu
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
// once with RATE_LIMITED; when the view holds an instance that does not answer,
// at once with UNAVAILABLE, unless another one serves as well.
func (c *Caller[I, R]) Submit(to cluster.Instance, key uint64, deadline time.Time, item I, done func(R, *code.Error)) {
	var none R
	if !c.cfg.AnyServes {
		if err := c.peers.skip(to); err != nil {
			done(none, err)
			return
		}
	}
	d, err := c.dest(to)
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

// prune stops the queues to instances that are gone. What they hold fails with
// UNAVAILABLE, or where any instance serves goes to others first.
func (c *Caller[I, R]) prune(v *cluster.View) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, d := range c.dests {
		i, ok := v.Get(c.cfg.Kind, d.inst.ID)
		d.gone.Store(!ok || i.RPC != d.inst.RPC)
		switch {
		case !d.gone.Load():
		case c.cfg.AnyServes:
			c.retire(key, d)
		default:
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
