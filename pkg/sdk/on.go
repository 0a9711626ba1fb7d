package sdk

import (
	"time"

	"longlink/pkg/code"
	"longlink/pkg/wire"
)

func (s *session) onWelcome(body []byte) *code.Error {
	w, err := wire.ParseWelcome(body)
	if err != nil {
		return err
	}
	if w.Version < wire.MinVersion || w.Version > wire.Version {
		return code.Errorf(code.VersionUnsupported, "the server chose version %d, this SDK speaks %d to %d", w.Version, wire.MinVersion, wire.Version)
	}
	w.Features &= features
	c := s.c
	c.count.connects.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	s.welcome, s.loggedIn = &w, time.Now()
	s.setHeartbeat(&w)
	c.state.Epoch = max(c.state.Epoch, w.Session)
	c.state.Resume = w.Resume
	c.remember(s.addr, c.state.Addresses[c.cfg.Network])
	for i := range s.later {
		s.out = wire.AppendBind(s.out, &s.later[i])
	}
	s.later = nil
	for _, name := range c.order { // bound by the app since HELLO
		if p := c.products[name]; p.wanted && s.bindings[name] == nil {
			s.bind(p)
		}
	}
	s.judgeConnected()
	s.judgeSends()
	s.poke()
	return nil
}

func (s *session) onBound(body []byte) *code.Error {
	b, err := wire.ParseBound(body)
	if err != nil {
		return err
	}
	c := s.c
	var retry time.Duration
	c.mu.Lock()
	if b.Code == code.Unbound && s.unbinding[b.Product] > 0 {
		s.unbinding[b.Product]--
	} else if sb := s.bindings[b.Product]; sb != nil {
		retry = s.applyBound(&b, sb)
		s.judgeConnected()
		s.poke()
	}
	c.mu.Unlock()
	if f := c.cfg.OnBound; f != nil {
		f(Bound{Device: c.cfg.Device, Product: b.Product, Code: b.Code, Retry: retry, Message: b.Message})
	}
	return nil
}

// applyBound updates cursors and the binding; the pause before the next BIND,
// 0 for none. Caller holds mu.
func (s *session) applyBound(b *wire.Bound, sb *binding) time.Duration {
	c, p := s.c, s.c.products[b.Product]
	switch b.Code.Action() {
	case code.None:
		p.bound(b, sb.sent, s.welcome.Features&wire.FeatureBroadcast != 0, !sb.ok)
		sb.ok, sb.answered, sb.acked, sb.tries, sb.refused = true, true, b.Cursor, 0, code.OK
		c.startLane(p.own)
		c.startLane(p.cast)
		c.changedState()
		return 0
	case code.Never:
		sb.ok, sb.answered = false, true
		sb.refused = b.Code
		c.settleAll(p, notBound(b.Product, b.Code))
		if b.Code == code.Unbound {
			p.wanted = false
			delete(s.bindings, b.Product)
		}
		return 0
	}
	sb.ok, sb.answered = false, false
	sb.tries++
	rnd := c.cfg.Rand()
	pause := max(late(hint(b.Code, b.RetryMS), rnd), c.cfg.Backoff.delay(sb.tries, rnd))
	sb.retryAt = time.Now().Add(pause)
	return pause
}

// judgeConnected notes the state that must be saved before connected is
// reported, once every product is answered. Caller holds mu.
func (s *session) judgeConnected() {
	if s.answered || s.welcome == nil {
		return
	}
	for _, b := range s.bindings {
		if !b.answered {
			return
		}
	}
	s.answered, s.need = true, s.c.version
}

func (s *session) onPush(body []byte) (*ending, *code.Error) {
	p, err := wire.ParsePush(body)
	if err != nil {
		return nil, err
	}
	c := s.c
	c.count.received.Add(1)
	m := newMessage(&p)
	c.mu.Lock()
	defer c.mu.Unlock()
	b := s.bindings[m.Product]
	switch {
	case b == nil || s.unbinding[m.Product] > 0: // crossed our UNBIND
		c.count.droppedUnbound.Add(1)
		return nil, nil
	case !b.ok:
		return local(code.ProtocolError, code.OtherAddress, "the server sent PUSH of product %s before its BOUND", m.Product), nil
	}
	l := c.products[m.Product].own
	if m.Broadcast {
		l = c.products[m.Product].cast
	}
	switch l.offer(m, s.window()) {
	case queued:
		c.startLane(l)
	case duplicate:
		c.count.duplicates.Add(1)
		s.ackAgain(&m, b)
	case full:
		switch {
		case m.Seq == 0:
			c.count.droppedQoS0.Add(1)
		case m.Broadcast:
			c.count.droppedFull.Add(1)
		default: // dropping it and taking the next would lose it
			return local(code.ProtocolError, code.OtherAddress, "the server sent more of product %s than the window of %d", m.Product, s.window()), nil
		}
	}
	return nil, nil
}

// ackAgain acknowledges a duplicate that is consumed: the first ACK was lost
// with its connection. Caller holds mu.
func (s *session) ackAgain(m *Message, b *binding) {
	p := s.c.products[m.Product]
	switch {
	case !m.Broadcast && m.Seq <= p.saved:
		b.acked = min(b.acked, m.Seq-1)
	case m.Broadcast && p.hasSeen(m) && p.unsaved[m.Place] < m.Seq:
		if stored := s.c.stored.Products[m.Product]; stored.Seen[m.Place] >= m.Seq || stored.HasBase && stored.Base >= m.Seq {
			p.unacked[m.Place] = max(p.unacked[m.Place], m.Seq)
		}
	}
	s.poke()
}

// window is the bound of a lane's queue.
func (s *session) window() int {
	if w := int(s.welcome.Window); w > 0 {
		return min(w, MaxWindow)
	}
	return MaxWindow
}

func (s *session) onRedirect(body []byte) *code.Error {
	r, err := wire.ParseRedirect(body)
	if err != nil {
		return err
	}
	c := s.c
	delay := time.Duration(float64(min(time.Duration(r.SpreadMS)*time.Millisecond, maxHint)) * c.cfg.Rand())
	c.mu.Lock()
	if len(r.Addresses) == 0 || !s.leaveAt.IsZero() {
		c.mu.Unlock()
		return nil
	}
	s.moved, s.leaveAt = r.Addresses, time.Now().Add(delay)
	c.mu.Unlock()
	s.poke()
	if f := c.cfg.OnRedirect; f != nil {
		f(Redirect{Device: c.cfg.Device, Addresses: r.Addresses, Code: r.Code, Delay: delay})
	}
	return nil
}
