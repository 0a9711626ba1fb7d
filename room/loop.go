package room

import (
	"context"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"

	"longlink/pkg/code"
)

// task is work for a loop. It runs on the loop, in the order of posting.
type task interface{ run(l *loop) }

// taskFunc is a task from a function.
type taskFunc func(l *loop)

func (f taskFunc) run(l *loop) { f(l) }

// Bounds of what a loop keeps for reuse, and of one write.
const (
	keepBuffers = 64
	keepFlights = 256
	writeChunk  = 64 << 10 // what is gathered in a turn leaves at this size
)

// buffer gathers what one connection is written in a turn.
type buffer struct{ b []byte }

// loop is one event loop of the engine with what belongs to it.
//
// Other goroutines reach it through one queue with one wake-up: gnet's own
// queues are not in order and a flood in them starves reading. What is posted
// while a turn runs waits for the next one, which starts after the loop has
// polled its sockets again.
type loop struct {
	room  *Room
	el    gnet.EventLoop
	index int
	beat  atomic.Int64  // loop time of the last tick that ran; for Check
	again chan struct{} // capacity 1: the waker calls Execute

	mu      sync.Mutex
	queue   []task // guarded by mu
	woken   bool   // guarded by mu: a turn is due or running
	stopped bool   // guarded by mu: gnet must not be touched any more

	// Owned by the loop.
	batch   []task
	now     int64 // loop time in ms, refreshed when a turn starts
	wheel   wheel
	dirty   []*conn // have something gathered to write
	buffers []*buffer
	flights []*flight
	// Shared by connections: see share and bindingOf.
	profiles map[profile]*profile
	bindings map[string]*binding // by product
}

// meet finds the loop's state, or makes it when gnet shows a loop for the
// first time; there is no list of loops to ask for.
func (r *Room) meet(el gnet.EventLoop) *loop {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range r.loops {
		if l.el == el {
			return l
		}
	}
	l := r.newLoop(el, len(r.loops))
	if r.group != nil {
		r.group.Go("room waker", l.waker)
	}
	r.loops = append(r.loops[:len(r.loops):len(r.loops)], l)
	return l
}

func (r *Room) newLoop(el gnet.EventLoop, index int) *loop {
	l := &loop{room: r, el: el, index: index, again: make(chan struct{}, 1), profiles: map[profile]*profile{}, bindings: map[string]*binding{}}
	l.now = r.now()
	l.beat.Store(l.now)
	l.wheel.reset(uint32(l.now / r.tick.Milliseconds()))
	return l
}

// post queues a result that somebody waits for. False: the loop has ended.
// There is at most one register, and per lane one load, one ack and one UP, on
// its way for a connection, which is what bounds the queue.
func (l *loop) post(t task) bool { return l.enqueue(t, int(^uint(0)>>1)) }

// offer queues what may be refused: false when the queue is full.
func (l *loop) offer(t task) bool { return l.enqueue(t, l.room.cfg.LoopQueue) }

func (l *loop) enqueue(t task, limit int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped || len(l.queue) >= limit {
		return false
	}
	l.queue = append(l.queue, t)
	if !l.woken {
		// Under mu, so that stop excludes a wake-up of a poller that is closed.
		l.woken = l.el.Execute(context.Background(), l) == nil
	}
	return l.woken
}

// Run is one turn: gnet calls it on the loop. Panics are handled inside.
func (l *loop) Run(context.Context) error {
	l.mu.Lock()
	l.batch, l.queue = l.queue, l.batch[:0]
	l.mu.Unlock()
	l.begin()
	for i, t := range l.batch {
		l.guardTask(t)
		l.batch[i] = nil
	}
	l.end()
	if cap(l.batch) > 4096 {
		l.batch = nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.woken = len(l.queue) > 0; l.woken {
		// Not Execute from here: gnet would run it before it polls.
		select {
		case l.again <- struct{}{}:
		default:
		}
	}
	return nil
}

// waker starts the next turn of a loop that was posted to during a turn.
func (l *loop) waker(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-l.again:
			l.wake()
		}
	}
}

func (l *loop) wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.stopped {
		_ = l.el.Execute(context.Background(), l) // fails only when the engine has ended
	}
}

// stop ends the queue for good; nothing is posted or woken after it returns.
func (l *loop) stop() {
	l.mu.Lock()
	l.stopped = true
	l.queue = nil
	l.mu.Unlock()
}

// begin starts a turn: frames of one connection, or a batch of tasks.
func (l *loop) begin() { l.now = l.room.now() }

// end writes what the turn gathered.
func (l *loop) end() {
	for i := 0; i < len(l.dirty); i++ {
		c := l.dirty[i]
		l.dirty[i] = nil
		l.guardFlush(c)
	}
	l.dirty = l.dirty[:0]
}

func (l *loop) guardFlush(c *conn) {
	defer l.guard(c)
	c.flush()
}

// guardTask runs a task that is for no single connection, or guards those that
// it handles by itself.
func (l *loop) guardTask(t task) {
	defer l.guard(nil)
	t.run(l)
}

// guard is deferred around everything that handles a connection: a panic costs
// that connection, is counted and logged.
func (l *loop) guard(c *conn) {
	v := recover()
	if v == nil {
		return
	}
	l.room.metrics.panics.Inc()
	device := ""
	if c != nil {
		device = c.device
	}
	l.room.log.Error("panic in a connection's handler", "value", v, "device", device, "stack", string(debug.Stack()))
	if c != nil {
		l.sacrifice(c)
	}
}

// sacrifice closes a connection whose state may be broken; if even that
// panics, the socket is closed at least.
func (l *loop) sacrifice(c *conn) {
	defer func() {
		if recover() != nil {
			_ = l.el.Close(c.gc)
		}
	}()
	if c.state >= stateClosing {
		_ = l.el.Close(c.gc)
		return
	}
	c.bye(code.Internal, 0, "")
}

// ticked turns the wheel; posted by the ticker.
func (l *loop) ticked() {
	l.beat.Store(l.now)
	l.wheel.advance(uint32(l.now/l.room.tick.Milliseconds()), l.visit)
}

func (l *loop) visit(c *conn) {
	defer l.guard(c)
	c.visit()
}

// tickLoops posts a tick to every loop until ctx ends.
func (r *Room) tickLoops(ctx context.Context) error {
	t := time.NewTicker(r.tick)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		for _, l := range r.allLoops() {
			l.offer(taskFunc((*loop).ticked))
		}
		r.goners.retry()
	}
}

func (l *loop) getBuffer() *buffer {
	if n := len(l.buffers); n > 0 {
		b := l.buffers[n-1]
		l.buffers = l.buffers[:n-1]
		return b
	}
	return &buffer{make([]byte, 0, 4096)}
}

func (l *loop) putBuffer(b *buffer) {
	if len(l.buffers) < keepBuffers && cap(b.b) <= 2*writeChunk {
		b.b = b.b[:0]
		l.buffers = append(l.buffers, b)
	}
}

func (l *loop) getFlight() *flight {
	if n := len(l.flights); n > 0 {
		f := l.flights[n-1]
		l.flights = l.flights[:n-1]
		return f
	}
	return newFlight(l.room.window.messages)
}

func (l *loop) putFlight(f *flight) {
	if len(l.flights) < keepFlights {
		f.reset()
		l.flights = append(l.flights, f)
	}
}
