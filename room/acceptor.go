package room

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"longlink/pkg/code"
	"longlink/pkg/wire"
)

// acceptPause is the wait after accept failed, typically for want of file
// descriptors; connections that end meanwhile free some.
const acceptPause = 100 * time.Millisecond

// acceptor feeds one listener's connections into the engine. gnet's own would
// end the whole engine when file descriptors run out.
type acceptor struct {
	room   *Room
	addr   string
	lis    net.Listener
	limits *addresses // shared by the room's acceptors
	closed atomic.Bool
}

// Listen implements service.Service.
func (r *Room) Listen() error {
	// Keep-alive off: heartbeats do it, and tell the device's state too.
	lc := net.ListenConfig{KeepAlive: -1}
	for _, addr := range r.cfg.Listen {
		lis, err := lc.Listen(context.Background(), "tcp", addr)
		if err != nil {
			r.closeListeners()
			return fmt.Errorf("room.listen: cannot listen on %s: %w; choose a free address of this machine in room.listen, or stop what uses it", addr, err)
		}
		r.acceptors = append(r.acceptors, &acceptor{room: r, addr: lis.Addr().String(), lis: lis})
	}
	if len(r.acceptors) == 0 {
		return errors.New("room.listen: no address; name at least one, such as 127.0.0.1:7001")
	}
	limits, err := newAddresses(r.cfg.Address, r.deps.Registry)
	if err != nil {
		r.closeListeners()
		return fmt.Errorf("room.address.exempt: %w", err)
	}
	for _, a := range r.acceptors {
		a.limits = limits
	}
	return nil
}

// Addresses implements service.Service.
func (r *Room) Addresses() []string {
	out := make([]string, len(r.acceptors))
	for i, a := range r.acceptors {
		out[i] = a.addr
	}
	return out
}

func (r *Room) closeListeners() {
	for _, a := range r.acceptors {
		if !a.closed.Swap(true) {
			_ = a.lis.Close() // only a second Close fails
		}
	}
}

// run accepts until the listener is closed.
func (a *acceptor) run(ctx context.Context) error {
	for {
		nc, err := a.lis.Accept()
		if err == nil {
			err = a.take(nc)
		}
		if err == nil {
			continue
		}
		if ctx.Err() != nil || a.closed.Load() || errors.Is(err, net.ErrClosed) {
			return nil
		}
		a.room.metrics.acceptPauses.Inc()
		a.room.log.Warn("accepting paused", "listen", a.addr, "for", acceptPause, "err", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(acceptPause):
		}
	}
}

// take gives a connection to a loop, or refuses it when its address asks too
// much or the room is full. It returns when the loop has opened it. An error
// means that the process is out of file descriptors.
func (a *acceptor) take(nc net.Conn) error {
	r := a.room
	from := limitOf(nc.RemoteAddr())
	if reason, retry := a.limits.admit(from, time.Now()); reason != "" {
		a.limits.refusals.WithLabelValues(reason).Inc()
		r.refused.refuse(nc, r, code.RateLimited, retry)
		return nil
	}
	if r.connections.Add(1) > r.maxConn {
		r.connections.Add(-1)
		a.limits.leave(from)
		a.limits.refusals.WithLabelValues(refusedFull).Inc()
		r.refused.refuse(nc, r, code.ServerFull, 0)
		return nil
	}
	c := &conn{number: r.numbers.Add(1)}
	_, err := r.engine.EnrollContext(nc, c) // closes nc; gnet keeps a duplicate
	if err != nil || c.loop == nil {        // c.loop: gnet swallows a failed registration
		r.connections.Add(-1)
		a.limits.leave(from)
	}
	return err
}

// gone tells the limits that an enrolled connection has ended.
func (r *Room) gone(peer net.Addr) { r.acceptors[0].limits.leave(limitOf(peer)) }

// Bounds of refused connections that are kept until the device has read why.
const (
	refuseKeep   = 256
	refuseLinger = 250 * time.Millisecond
)

// refusals says why to connections that the room does not take. Closing
// at once could destroy the BYE, so the sockets stay for a moment; over the
// limit they are closed at once.
type refusals struct {
	mu     sync.Mutex
	kept   map[net.Conn]*time.Timer // guarded by mu
	closed bool                     // guarded by mu
}

func newRefusals() *refusals { return &refusals{kept: map[net.Conn]*time.Timer{}} }

// refuse says BYE; a retry of 0 is the code's own.
func (f *refusals) refuse(nc net.Conn, r *Room, why code.Code, retry time.Duration) {
	r.metrics.closes.WithLabelValues(why.String()).Inc()
	e := code.Error{Code: why, Retry: retry}
	bye := wire.AppendBye(nil, &wire.Bye{Code: why, RetryMS: e.RetryMS()})
	_ = nc.SetWriteDeadline(time.Now().Add(refuseLinger))
	_, _ = nc.Write(bye) // a new socket's buffer takes it at once; a reset is the device's own
	if t, ok := nc.(*net.TCPConn); ok {
		_ = t.CloseWrite()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed || len(f.kept) >= refuseKeep {
		_ = nc.Close()
		return
	}
	f.kept[nc] = time.AfterFunc(refuseLinger, func() { f.end(nc) })
}

func (f *refusals) end(nc net.Conn) {
	f.mu.Lock()
	delete(f.kept, nc)
	f.mu.Unlock()
	_ = nc.Close()
}

// close ends all of them.
func (f *refusals) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	for nc, t := range f.kept {
		t.Stop()
		_ = nc.Close()
	}
	clear(f.kept)
}
