package sdk

import (
	"slices"
	"time"

	"longlink/pkg/code"
	"longlink/pkg/wire"
)

// onUpAck takes an answer. OK, and a refusal for good, end the Send whichever
// frame they answer, since an up_id names the data. A passing refusal counts
// for what is written on this connection only: a room that refuses one also
// refuses those behind it, and they are to be sent again already.
func (s *session) onUpAck(body []byte) *code.Error {
	a, err := wire.ParseUpAck(body)
	if err != nil {
		return err
	}
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	u := c.sends[a.UpID]
	switch {
	case u == nil || !u.sent: // given up, answered before, or never asked
	case a.Code.Action() == code.None:
		c.count.upsStored.Add(1)
		u.p.outbox.tries = 0
		c.settle(u, nil)
	case a.Code.Action() == code.Never:
		c.count.upsRefused.Add(1)
		c.settle(u, code.Errorf(a.Code, "the server refused it: %s", a.Code.Row().Meaning))
	case u.on == s:
		c.count.upsHeld.Add(1)
		s.hold(u, a.Code, hint(a.Code, a.RetryMS))
	}
	return nil
}

// hold makes u and all later ones of its product wait for the hint, and for the
// back-off of this refusal in a row where the server named no time. Caller holds
// mu.
func (s *session) hold(u *up, why code.Code, hint time.Duration) {
	c, o := s.c, &u.p.outbox
	for _, later := range o.ups[slices.Index(o.ups, u):] {
		later.on = nil
	}
	o.tries++
	n := o.tries
	if hint > 0 {
		n = 1
	}
	rnd := c.cfg.Rand()
	pause := max(late(hint, rnd), c.cfg.Backoff.delay(n, rnd))
	if at := time.Now().Add(pause); at.After(o.until) {
		o.until = at
	}
	c.cfg.Logger.Debug("upstream waits", "product", u.p.Name, "up_id", u.UpID, "code", why, "retry_in", pause)
	s.poke()
}
