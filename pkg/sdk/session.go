package sdk

import (
	"context"
	"fmt"
	"net"
	"time"

	"longlink/pkg/code"
	"longlink/pkg/lifecycle"
	"longlink/pkg/wire"
)

const (
	// MaxOutbound bounds the bytes that wait to be written.
	MaxOutbound = 1 << 20
	// maxHint bounds a server's hint.
	maxHint = time.Hour
	// farewell is how long the last frames of a connection may take.
	farewell = time.Second

	features = wire.FeatureBroadcast | wire.FeatureUpstream | wire.FeatureRedirect | wire.FeatureResume
)

// session is one connection from dial to its end. Its reader and writer are the
// only goroutines that touch nc; what they share is guarded by Client.mu.
type session struct {
	c    *Client
	addr string
	nc   net.Conn
	wake chan struct{}

	// Guarded by Client.mu.
	out       []byte // frames to write, but for the acks, which are made when written
	later     []wire.Binding
	bindings  map[string]*binding
	unbinding map[string]int // UNBINDs whose BOUND is awaited
	welcome   *wire.Welcome  // nil before login
	loggedIn  time.Time
	deadline  time.Time // for WELCOME
	heartbeat time.Duration
	idle      time.Duration // heartbeat less this round's jitter
	lastSent  time.Time
	lastHeard time.Time
	pingSent  time.Time // zero: no PING is unanswered
	leaveAt   time.Time // zero: stay
	moved     []string  // where a REDIRECT leads
	cause     *ending   // the first, which counts: closing makes others
	goodbye   code.Code // of our BYE
	silent    bool      // the server said BYE: no answer
	connected bool      // reported
	answered  bool      // WELCOME and every BOUND came
	need      uint64    // version that must be saved before connected is reported
}

// binding is what this connection knows of a product.
type binding struct {
	sent     Cursor // what HELLO or BIND said
	acked    uint64
	ok       bool      // BOUND with OK: PUSH may come
	answered bool      // no BOUND is awaited
	refused  code.Code // BOUND's refusal for good, else OK
	retryAt  time.Time
	tries    int
}

// ending says how a connection, or the attempt at one, ended.
type ending struct {
	addr     string
	code     code.Code
	action   code.Action
	reason   string
	retry    time.Duration
	remote   bool
	welcomed bool
	lived    time.Duration // since WELCOME
	moved    []string
}

// Error implements error: returning an ending ends the session's group.
func (e *ending) Error() string { return e.code.String() + ": " + e.reason }

// ended notes why the connection ends. Caller holds mu.
func (s *session) ended(e *ending) error {
	if s.cause == nil {
		s.cause = e
	}
	return e
}

func local(c code.Code, action code.Action, format string, args ...any) *ending {
	return &ending{code: c, action: action, reason: fmt.Sprintf(format, args...)}
}

// runSession dials, logs in and stays until something ends it.
func (c *Client) runSession(ctx context.Context, addr, token string) *ending {
	dctx, cancel := context.WithTimeout(ctx, c.cfg.LoginTimeout)
	nc, err := c.cfg.Dial(dctx, "tcp", addr)
	cancel()
	if err != nil {
		end := local(code.Unavailable, code.OtherAddress, "%v", err)
		end.addr = addr
		return end
	}
	now := time.Now()
	s := &session{
		c: c, addr: addr, nc: nc, wake: make(chan struct{}, 1), bindings: map[string]*binding{}, unbinding: map[string]int{},
		deadline: now.Add(c.cfg.LoginTimeout), lastSent: now, lastHeard: now,
	}
	c.mu.Lock()
	s.hello(token)
	c.session = s
	c.mu.Unlock()

	g := lifecycle.NewGroup(ctx, c.cfg.Logger, nil)
	g.Go("write", s.write)
	g.Go("read", s.read)
	g.Go("hurry", func(ctx context.Context) error { // a write that hangs must not outlive ctx
		<-ctx.Done()
		return nc.SetWriteDeadline(time.Now().Add(farewell))
	})
	err = g.Wait()

	c.mu.Lock()
	end := s.cause
	switch {
	case ctx.Err() != nil:
		end = local(code.OK, code.None, "stopped")
	case end == nil: // a panic, reported by the group
		end = local(code.Internal, code.RetryNow, "%v", err)
	}
	c.session = nil
	end.addr, end.moved, end.welcomed = addr, s.moved, s.welcome != nil
	if end.welcomed {
		end.lived = time.Since(s.loggedIn)
	}
	c.mu.Unlock()
	if f := c.cfg.OnDisconnected; f != nil {
		f(Disconnected{Device: c.cfg.Device, Addr: addr, Code: end.code, Reason: end.reason, Remote: end.remote})
	}
	return end
}

// hello queues HELLO. Bindings that would make it longer than every room takes
// follow as BINDs after WELCOME. Caller holds mu.
func (s *session) hello(token string) {
	c := s.c
	h := wire.Hello{
		Version: wire.Version, Features: features, Device: c.cfg.Device, Token: token, Network: c.cfg.Network,
		Epoch: c.stored.Epoch, Resume: c.stored.Resume, Client: clientName,
		HeartbeatMS: uint32(min(c.heartbeat, 24*time.Hour).Milliseconds()),
	}
	size := len(wire.AppendHello(nil, &h))
	for _, name := range c.order {
		p := c.products[name]
		if !p.wanted {
			continue
		}
		b := p.binding(c.stored.Products[name])
		s.bindings[name] = &binding{sent: c.stored.Products[name], acked: b.Cursor}
		if n := len(wire.AppendBind(nil, &b)); size+n <= wire.DefaultMaxHello {
			size += n
			h.Bindings = append(h.Bindings, b)
		} else {
			s.later = append(s.later, b)
		}
	}
	s.out = wire.AppendHello(s.out, &h)
}

// bind queues a BIND. Caller holds mu.
func (s *session) bind(p *product) {
	stored := s.c.stored.Products[p.Name]
	b := s.bindings[p.Name]
	if b == nil {
		b = &binding{acked: stored.Seq}
		s.bindings[p.Name] = b
	}
	b.sent, b.answered, b.refused, b.retryAt = stored, false, code.OK, time.Time{}
	wb := p.binding(stored)
	s.out = wire.AppendBind(s.out, &wb)
}

// poke wakes the writer.
func (s *session) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// write is the connection's clock and its only writer. It closes nc.
func (s *session) write(ctx context.Context) error {
	defer s.nc.Close()
	timer := time.NewTimer(0)
	defer timer.Stop()
	var buf []byte
	for {
		s.c.mu.Lock()
		now := time.Now()
		end := s.due(now)
		if end != nil {
			s.ended(end)
		}
		buf = s.take(buf[:0], now)
		report := s.reportable()
		wait := s.nextDue(now).Sub(now)
		s.c.mu.Unlock()
		if report != nil && s.c.cfg.OnConnected != nil {
			s.c.cfg.OnConnected(*report)
		}
		if ctx.Err() != nil || end != nil {
			s.farewell(buf)
			if end != nil {
				return end
			}
			return ctx.Err()
		}
		if len(buf) > 0 {
			if err := s.send(ctx, buf); err != nil {
				s.c.mu.Lock()
				defer s.c.mu.Unlock()
				return s.ended(local(code.Unavailable, code.RetryNow, "connection lost: %v", err))
			}
			continue
		}
		timer.Reset(max(wait, time.Millisecond))
		select {
		case <-ctx.Done():
		case <-s.wake:
		case <-timer.C:
		}
	}
}

func (s *session) send(ctx context.Context, buf []byte) error {
	err := s.nc.SetWriteDeadline(time.Now().Add(s.c.cfg.LoginTimeout))
	if ctx.Err() != nil { // the hurry goroutine may have come first
		err = s.nc.SetWriteDeadline(time.Now().Add(farewell))
	}
	if err != nil {
		return err
	}
	_, err = s.nc.Write(buf)
	return err
}

// farewell writes what is left and BYE. The server may be gone: then so be it.
func (s *session) farewell(buf []byte) {
	s.c.mu.Lock()
	if !s.silent {
		buf = wire.AppendBye(buf, &wire.Bye{Code: s.goodbye})
	}
	s.c.mu.Unlock()
	if err := s.nc.SetWriteDeadline(time.Now().Add(farewell)); err == nil {
		_, err = s.nc.Write(buf)
		if err != nil {
			s.c.cfg.Logger.Debug("no farewell", "addr", s.addr, "err", err)
		}
	}
}
