package room

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"

	"longlink/pkg/api"
	"longlink/pkg/cluster"
	"longlink/pkg/code"
	"longlink/pkg/lifecycle"
	"longlink/pkg/rpc"
	"longlink/pkg/service"
	"longlink/pkg/slot"
)

// Callers of the hot calls that leave a room.
type (
	sessionCaller = rpc.Caller[*api.SessionItem, *api.SessionResult]
	loadCaller    = rpc.Caller[*api.LoadItem, *api.LoadResult]
	ackCaller     = rpc.Caller[*api.AckItem, *api.AckResult]
	upCaller      = rpc.Caller[*api.UpItem, *api.UpResult]
)

var _ service.Service = (*Room)(nil)

// Room is the service. It implements service.Service.
type Room struct {
	api.UnimplementedRoomServer // Drain, Announce and Grant are not served yet

	// Set by New, constant after.
	cfg     Config
	deps    service.Deps
	log     *slog.Logger
	self    rpc.Identity
	metrics *metrics
	window  window
	tick    time.Duration // resolution of every timer on a connection
	start   time.Time     // origin of the loops' time
	maxConn int64
	answers answers
	update  *sessionCaller
	load    *loadCaller
	ack     *ackCaller
	up      *upCaller
	devices *deviceTable
	auth    *authPool
	goners  *unregistrar

	// Set by Listen and Run.
	acceptors []*acceptor
	engine    *gnet.Client
	refused   *refusals

	connections atomic.Int64 // counted by acceptors, uncounted at OnClose
	sessions    atomic.Int64
	outbound    atomic.Int64 // bytes in outbound buffers as last seen by the loops
	upstream    atomic.Int64 // bytes of upstream data that wait or are on their way
	numbers     atomic.Uint64
	stopping    atomic.Bool
	ended       chan struct{} // closed when no loop takes tasks any more
	calls       pending       // acks, upstream data and unregistrations on their way

	mu    sync.Mutex
	loops []*loop          // guarded by mu; grows only, in the order of being met
	group *lifecycle.Group // guarded by mu; nil before Run
}

// New makes a room that does nothing yet.
func New(cfg Config, deps service.Deps) *Room {
	r := &Room{
		cfg: cfg, deps: deps, log: deps.Log, self: deps.Peers.Self(),
		window:  window{cfg.LaneWindow, int(cfg.WindowBytes)},
		tick:    time.Second,
		start:   time.Now().Add(-time.Second), // so that no loop time is 0
		maxConn: capacity(cfg.MaxConnections),
		answers: newAnswers(),
		devices: newDeviceTable(),
		refused: newRefusals(),
		ended:   make(chan struct{}),
	}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	r.metrics = newMetrics(deps.Registry, r)
	r.auth = newAuthPool(cfg.AuthWorkers, cfg.AuthQueue, deps.Directory)
	r.goners = newUnregistrar(r)
	timeout := time.Duration(cfg.CallTimeout)
	r.update = rpc.NewCaller(deps.Peers, rpc.UpdateSessions, rpc.CallerConfig{Target: "register.update", Kind: cluster.Register, Timeout: timeout})
	r.load = rpc.NewCaller(deps.Peers, rpc.Load, rpc.CallerConfig{Target: "saver.load", Kind: cluster.Saver, AnyServes: true, Timeout: timeout})
	r.ack = rpc.NewCaller(deps.Peers, rpc.Ack, rpc.CallerConfig{Target: "saver.ack", Kind: cluster.Saver, AnyServes: true, Timeout: timeout})
	r.up = rpc.NewCaller(deps.Peers, rpc.Up, rpc.CallerConfig{Target: "coordinator.up", Kind: cluster.Coordinator, AnyServes: true, Timeout: timeout})
	return r
}

// Check implements service.Service: all listeners accept and every loop met so
// far has turned lately.
func (r *Room) Check(context.Context) error {
	if r.stopping.Load() {
		return code.Errorf(code.Shutdown, "the room is stopping")
	}
	if len(r.acceptors) == 0 {
		return code.Errorf(code.Unavailable, "no listener is open")
	}
	for _, a := range r.acceptors {
		if a.closed.Load() {
			return code.Errorf(code.Unavailable, "the listener on %s is closed", a.addr)
		}
	}
	late := (5*r.tick + time.Second).Milliseconds()
	for _, l := range r.allLoops() {
		if silent := r.now() - l.beat.Load(); silent > late {
			return fmt.Errorf("event loop %d has not turned for %d ms", l.index, silent)
		}
	}
	return nil
}

// Figures implements service.Service.
func (r *Room) Figures() map[string]float64 {
	return map[string]float64{
		"connections": float64(r.connections.Load()),
		"capacity":    float64(r.maxConn),
		"sessions":    float64(r.sessions.Load()),
	}
}

// Capacity is how many connections the room takes, for its registry entry.
func (r *Room) Capacity() int { return int(r.maxConn) }

// now is the loops' time: milliseconds since shortly before New.
func (r *Room) now() int64 { return time.Since(r.start).Milliseconds() }

// deadline is when a call that leaves now is given up.
func (r *Room) deadline() time.Time { return time.Now().Add(time.Duration(r.cfg.CallTimeout)) }

// backoff is the wait in ms before attempt n (from 0) is repeated: retry_min
// doubling to retry_max with half of it jittered, and not under the hint.
func (r *Room) backoff(n uint8, hint time.Duration) int64 {
	d := time.Duration(r.cfg.RetryMin) << min(n, 16)
	d = min(d, time.Duration(r.cfg.RetryMax))
	d = d/2 + rand.N(d/2+1)
	return max(d, hint).Milliseconds()
}

func (r *Room) allLoops() []*loop {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.loops
}

// slotOf is the device's slot, which chooses the instance, and its key in the
// batchers, which keeps its items in order.
func slotOf(device string) (uint16, uint64) { return slot.Of(device), slot.Key(device) }
