package room

import (
	"longlink/pkg/api"
	"longlink/pkg/code"
)

// registration is how far register knows the session. Changes of the bindings
// are counted; a PUT carries all bindings and confirms the count it was made
// at. One PUT is on its way at a time.
type registration struct {
	wanted   uint16 // changes so far; wraps around
	known    uint16 // confirmed by register
	flying   bool
	attempts uint8
	retryAt  int64 // loop time; 0: nothing to repeat
}

// has is true when register knows the change: loads wait for it.
func (g *registration) has(change uint16) bool { return int16(g.known-change) >= 0 }

// register tells register of the session when it knows an older state of it.
func (c *conn) register() {
	if c.reg.flying || c.reg.known == c.reg.wanted {
		return
	}
	c.reg.flying, c.reg.retryAt = true, 0
	c.put(false, &registered{c: c, change: c.reg.wanted})
}

// put sends the session as it is now; t is posted with the answer.
func (c *conn) put(refill bool, t *registered) {
	r := c.loop.room
	item := &api.SessionItem{Meta: &api.Meta{}, Op: api.SessionItem_OP_PUT, Session: c.describe(), Refill: refill, Change: uint32(c.reg.wanted)}
	s, key := slotOf(c.device)
	l := c.loop
	r.update.ToOwner(s, key, r.deadline(), item, func(res *api.SessionResult, err *code.Error) {
		t.res, t.err = res, err
		if !l.post(t) && t.refill != nil {
			t.refill(nil)
		}
	})
}

// describe is the session for register.
func (c *conn) describe() *api.Session {
	r := c.loop.room
	s := &api.Session{Device: c.device, Room: r.self.ID, RoomEpoch: r.self.Epoch, Conn: c.number, Epoch: c.epoch,
		Network: c.profile.network.String(), Client: c.profile.client, SinceMs: c.since}
	if a := c.gc.RemoteAddr(); a != nil {
		s.Remote = a.String()
	}
	s.Bindings = make([]*api.SessionBinding, len(c.lanes))
	for i := range c.lanes {
		s.Bindings[i] = &api.SessionBinding{Product: c.lanes[i].product, Tags: c.lanes[i].tags}
	}
	return s
}

// registered brings register's answer back to the loop.
type registered struct {
	c      *conn
	change uint16                // that the PUT carried
	refill func(err *code.Error) // nil: a PUT of the session's own
	res    *api.SessionResult
	err    *code.Error
}

func (t *registered) run(l *loop) {
	c := t.c
	defer l.guard(c)
	if t.refill != nil {
		defer t.refill(t.err)
	}
	if c.state != stateLive {
		l.room.metrics.drop(code.DropOldBatch)
		return
	}
	if t.refill == nil {
		c.reg.flying = false
	}
	switch {
	case t.err == nil && c.lost(t.res):
		c.bye(code.Replaced, 0, "the device logged in to another room")
		return
	case t.err == nil:
		if int16(t.change-c.reg.known) > 0 {
			c.reg.known = t.change
		}
		c.reg.attempts = 0
	case t.refill != nil: // the refill repeats it
		return
	case t.err.Code == code.Replaced:
		c.byeError(t.err)
		return
	default:
		c.reg.retryAt = l.now + l.room.backoff(c.reg.attempts, t.err.Retry)
		c.reg.attempts = min(c.reg.attempts+1, 16)
		c.armAt(c.reg.retryAt)
		return
	}
	c.register()
	c.pumpAll()
}

// lost is true when register names another winner.
func (c *conn) lost(res *api.SessionResult) bool {
	r := c.loop.room
	return res.GetWinnerRoom() != "" && (res.WinnerRoom != r.self.ID || res.WinnerEpoch != c.epoch)
}

// retry repeats what failed and is due.
func (c *conn) retry(now int64) {
	if at := c.reg.retryAt; at != 0 {
		if now >= at {
			c.register()
		} else {
			c.armAt(at)
		}
	}
	for i := 0; i < len(c.lanes); i++ {
		ln := &c.lanes[i]
		if at := ln.loadAt; at != 0 {
			if now >= at {
				ln.loadAt = 0
				c.pump(ln)
			} else {
				c.armAt(at)
			}
		}
		if at := ln.ackAt; at != 0 {
			if now >= at {
				ln.ackAt = 0
				c.forwardAck(ln)
			} else {
				c.armAt(at)
			}
		}
	}
}
