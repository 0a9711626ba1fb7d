package sdk

import (
	"cmp"
	"slices"
	"time"

	"longlink/pkg/code"
	"longlink/pkg/wire"
)

// maxUnanswered bounds the bytes of the UPs that are written and unanswered on
// a connection, so that a room with less memory for them need not refuse what
// would only be sent again. A longer one goes alone.
const maxUnanswered = 128 << 10

// outbox holds a product's unanswered UPs over connections; guarded by
// Client.mu. What is yet to be written on the present connection is always the
// end of the list: then whatever the room refuses, it gets again with all that
// comes after it, and the order holds.
type outbox struct {
	ups   []*up     // in the order of up_id
	until time.Time // after a refusal: nothing is written before
	tries int       // refusals in a row
}

// up is one Send that has no answer yet.
type up struct {
	wire.Up
	p      *product
	sent   bool       // it was written once
	on     *session   // where it is written and not refused; nil: nowhere
	result chan error // takes the one answer
}

// size is that of the frame's body.
func (u *up) size() int {
	return 1 + 8 + 1 + len(u.Product) + 1 + len(u.Kind) + 1 + len(u.Payload)
}

// settle ends u with its answer; false when it had one. Caller holds mu.
func (c *Client) settle(u *up, answer error) bool {
	if c.sends[u.UpID] != u {
		return false
	}
	delete(c.sends, u.UpID)
	c.sendBytes -= len(u.Payload)
	o := &u.p.outbox
	i := slices.Index(o.ups, u)
	o.ups = slices.Delete(o.ups, i, i+1)
	u.result <- answer
	c.pokeSession() // there is room for the next, and another may be first
	return true
}

// settleAll ends what waits of a product. Caller holds mu.
func (c *Client) settleAll(p *product, answer error) {
	for len(p.outbox.ups) > 0 {
		c.settle(p.outbox.ups[0], answer)
	}
}

// closeSends ends every Send, those to come as well. Caller holds mu.
func (c *Client) closeSends() {
	c.ended = true
	for _, p := range c.products {
		c.settleAll(p, ErrClosed)
	}
}

// refuses says why the connection, after WELCOME, can never take u; nil: it
// can, or nobody knows yet. Caller holds mu.
func (s *session) refuses(u *up) error {
	if s.welcome.Features&wire.FeatureUpstream == 0 {
		return code.Errorf(code.FailedPrecondition, "this server takes no upstream data")
	}
	if limit := s.maxFrame(); u.size() > limit {
		return code.Errorf(code.PayloadTooLarge, "a body of %d bytes does not fit into a frame of %d: send less, or a link", len(u.Payload), limit).WithField("body")
	}
	if b := s.bindings[u.p.Name]; b != nil && b.refused != code.OK {
		return notBound(u.p.Name, b.refused)
	}
	return nil
}

func notBound(product string, why code.Code) error {
	return code.Errorf(why, "product %q is not bound: %s", product, why.Row().Meaning)
}

// judgeSends ends those Sends that this connection can never take. Caller holds
// mu.
func (s *session) judgeSends() {
	for _, u := range s.c.sends {
		if err := s.refuses(u); err != nil {
			s.c.settle(u, err)
		}
	}
}

// takeUps appends to buf the UPs that may be written now: of products that are
// bound and not told to wait, the oldest first, as many as fit unanswered.
// Caller holds mu.
func (s *session) takeUps(buf []byte, now time.Time) []byte {
	if s.welcome == nil {
		return buf
	}
	var ready []*up
	unanswered := 0
	for _, u := range s.c.sends {
		b := s.bindings[u.p.Name]
		switch {
		case u.on == s:
			unanswered += u.size()
		case b != nil && b.ok && !now.Before(u.p.outbox.until):
			ready = append(ready, u)
		}
	}
	slices.SortFunc(ready, func(a, b *up) int { return cmp.Compare(a.UpID, b.UpID) })
	for _, u := range ready {
		if unanswered > 0 && unanswered+u.size() > maxUnanswered {
			break
		}
		unanswered += u.size()
		frame := u.Up
		if u == u.p.outbox.ups[0] {
			frame.Flags |= wire.FlagFirst
		}
		buf = wire.AppendUp(buf, &frame)
		u.sent, u.on = true, s
		s.c.count.ups.Add(1)
	}
	return buf
}

// nextUp is when a product that was told to wait may be sent again; zero: none
// waits. Caller holds mu.
func (s *session) nextUp(now time.Time) (next time.Time) {
	for _, u := range s.c.sends {
		if at := u.p.outbox.until; at.After(now) && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return next
}

// pokeSession wakes the writer if there is one. Caller holds mu.
func (c *Client) pokeSession() {
	if c.session != nil {
		c.session.poke()
	}
}
