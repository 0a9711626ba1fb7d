package sdk

import (
	"time"

	"longlink/pkg/code"
	"longlink/pkg/wire"
)

// never is a time that no timer reaches.
const never = 24 * time.Hour

// due queues what the time asks for; an ending when it asks to leave. Caller
// holds mu.
func (s *session) due(now time.Time) *ending {
	if s.welcome == nil {
		if !now.Before(s.deadline) {
			return local(code.Unavailable, code.OtherAddress, "no WELCOME within %s", s.c.cfg.LoginTimeout)
		}
		return nil
	}
	if !s.leaveAt.IsZero() && !now.Before(s.leaveAt) {
		return local(code.OK, code.None, "left for another address")
	}
	if !s.pingSent.IsZero() && !now.Before(s.pingSent.Add(s.c.cfg.PongTimeout)) {
		return local(code.HeartbeatTimeout, code.RetryNow, "the server was silent for %s after a PING", s.c.cfg.PongTimeout)
	}
	if s.pingSent.IsZero() && !now.Before(s.nextPing()) {
		s.out = append(s.out, wire.PingFrame...)
		s.pingSent = now
	}
	for name, b := range s.bindings {
		if !b.retryAt.IsZero() && !now.Before(b.retryAt) {
			s.bind(s.c.products[name])
		}
	}
	return nil
}

// nextPing is when nothing was sent, or nothing heard, for the interval: the
// first keeps the server's opinion of us alive, the second ours of the server.
func (s *session) nextPing() time.Time {
	first := s.lastSent
	if s.lastHeard.Before(first) {
		first = s.lastHeard
	}
	return first.Add(s.idle)
}

// nextDue is the earliest time at which due has something to do.
func (s *session) nextDue(now time.Time) time.Time {
	if s.welcome == nil {
		return s.deadline
	}
	next := now.Add(never)
	sooner := func(t time.Time) {
		if !t.IsZero() && t.Before(next) {
			next = t
		}
	}
	sooner(s.leaveAt)
	if s.pingSent.IsZero() {
		sooner(s.nextPing())
	} else {
		sooner(s.pingSent.Add(s.c.cfg.PongTimeout))
	}
	for _, b := range s.bindings {
		sooner(b.retryAt)
	}
	sooner(s.nextUp(now))
	return next
}

// setHeartbeat takes the interval from WELCOME within the bounds it names. Each
// connection uses up to a tenth less, so that a herd's PINGs spread.
func (s *session) setHeartbeat(w *wire.Welcome) {
	ms := func(v uint32) time.Duration { return time.Duration(v) * time.Millisecond }
	d := ms(w.HeartbeatMS)
	if d == 0 {
		d = s.c.heartbeat
	}
	if d == 0 {
		d = defaultHeartbeat
	}
	if w.HeartbeatMaxMS > 0 {
		d = min(d, ms(w.HeartbeatMaxMS))
	}
	s.heartbeat = max(d, ms(w.HeartbeatMinMS), 100*time.Millisecond)
	s.idle = s.heartbeat - time.Duration(float64(s.heartbeat)*0.1*s.c.cfg.Rand())
}

// take moves what is to be written to buf: the queued frames, one ACK per lane
// and place that is durable and not yet acknowledged, and what may go upstream.
// Caller holds mu.
func (s *session) take(buf []byte, now time.Time) []byte {
	buf = append(buf, s.out...)
	s.out = s.out[:0]
	for name, b := range s.bindings {
		if !b.ok || s.c.cfg.NoAck {
			continue
		}
		p := s.c.products[name]
		if p.saved > b.acked {
			b.acked = p.saved
			buf = wire.AppendAck(buf, &wire.Ack{Product: []byte(name), Seq: p.saved})
			s.c.count.acked.Add(1)
		}
		for place, seq := range p.unacked {
			buf = wire.AppendAck(buf, &wire.Ack{Flags: wire.FlagBroadcast, Product: []byte(name), Seq: seq, Place: place})
			s.c.count.acked.Add(1)
		}
		clear(p.unacked)
	}
	buf = s.takeUps(buf, now)
	if len(buf) > 0 {
		s.lastSent = time.Now()
	}
	return buf
}

// reportable is the connected event when it is due. Caller holds mu.
func (s *session) reportable() *Connected {
	if s.connected || !s.answered || s.c.savedVersion < s.need {
		return nil
	}
	s.connected = true
	return &Connected{Device: s.c.cfg.Device, Room: s.welcome.Room, Addr: s.addr, Session: s.welcome.Session, Resumed: s.welcome.Resumed}
}
