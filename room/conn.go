package room

import (
	"context"
	"log/slog"
	"syscall"

	"github.com/panjf2000/gnet/v2"

	"longlink/pkg/code"
	"longlink/pkg/wire"
)

// state of a connection.
type state uint8

const (
	stateHello   state = iota // nothing or half a HELLO came
	stateAuth                 // the token is being checked
	stateLive                 // logged in
	stateClosing              // BYE was written; what comes is thrown away
	stateClosed               // gnet has closed it
)

// linger is how long after BYE the device may take to close, in ms: closing at
// once with unread data in the socket would reset the connection and could
// destroy the BYE.
const linger = 2000

// conn is one connection. Its size counts: a room holds a million.
type conn struct {
	// Set before the connection is enrolled, constant after.
	number uint64

	// Set by OnOpen, which the acceptor waits for; constant after.
	loop *loop
	gc   gnet.Conn

	// Set at login before the device table shows the connection, constant after.
	device string
	epoch  uint64

	// Owned by the loop.
	next, prev *conn // wheel
	out        *buffer
	heard      int64 // loop time of the last byte from the device
	since      int64 // Unix ms of the login
	profile    *profile
	allowed    []claim // products of the token that are not bound, for BIND
	lanes      []lane
	// due is when patience ends, in loop time: with HELLO, its check and the
	// close after BYE; in stateLive with an outbound buffer that takes no
	// pushes, else 0 there.
	due       int64
	reg       registration
	ups       *upstream // nil when no UP is unanswered and none was lately
	outbound  int32     // bytes in gnet's outbound buffer when last seen
	stuck     int32     // outbound when due was set, in stateLive
	tick      uint32    // wheel: 0 when not in it
	heartbeat uint32    // ms
	laneGens  uint32
	state     state
	shut      bool  // the sending half is shut down
	binds     uint8 // BINDs that are being checked
}

// profile is what a device says of itself; connections share equal ones.
type profile struct {
	client  string
	network network
}

// append gathers bytes for the device; they leave at the end of the turn.
// The caller appends to the buffer's b.
func (c *conn) gather() *buffer {
	if c.out == nil {
		c.out = c.loop.getBuffer()
		c.loop.dirty = append(c.loop.dirty, c)
	}
	return c.out
}

// spill writes early when much was gathered, so that buffers stay small.
func (c *conn) spill() {
	if c.out != nil && len(c.out.b) >= writeChunk {
		c.flush()
	}
}

// flush writes what was gathered. gnet may close the connection inside (a
// write error), which runs OnClose before flush returns.
func (c *conn) flush() {
	b := c.out
	if b == nil {
		return
	}
	c.out = nil
	if c.state != stateClosed {
		_, _ = c.gc.Write(b.b) // an error has closed the connection
	}
	c.loop.putBuffer(b)
	if c.state == stateClosed {
		return
	}
	if c.seeOutbound() > int(c.loop.room.cfg.OutboundLimit) && c.state == stateLive {
		c.loop.room.metrics.drop(code.DropSlow)
		c.bye(code.SlowConsumer, 0, "")
	}
}

// bye ends the connection with a reason: the session at once, the socket when
// the device has read the BYE and closed, or after linger.
func (c *conn) bye(reason code.Code, retryMS uint32, message string) {
	if c.state >= stateClosing {
		return
	}
	l := c.loop
	c.endSession()
	c.state = stateClosing
	l.room.metrics.closes.WithLabelValues(reason.String()).Inc()
	c.note("connection ended by the room", reason)
	if retryMS == 0 {
		retryMS = reason.Row().RetryMS
	}
	b := c.gather()
	b.b = wire.AppendBye(b.b, &wire.Bye{Code: reason, RetryMS: retryMS, Message: message})
	c.flush()
	if c.state == stateClosed {
		return
	}
	c.due = l.now + linger
	c.finish()
	c.armAt(l.now)
}

// byeError is bye with an error's particulars.
func (c *conn) byeError(err *code.Error) {
	message := err.Message
	if err.Field != "" {
		message = err.Field + ": " + message
	}
	c.bye(err.Code, err.RetryMS(), message)
}

// note logs an event of the connection at debug level; when that is off it
// costs a comparison.
func (c *conn) note(what string, reason code.Code) {
	if log := c.loop.room.log; log.Enabled(context.Background(), slog.LevelDebug) {
		log.Debug(what, "device", c.device, "conn", c.number, "epoch", c.epoch, "code", reason)
	}
}

// finish shuts the sending half down once everything has left, which tells the
// device that BYE was the last.
func (c *conn) finish() {
	if !c.shut && c.seeOutbound() == 0 {
		c.shut = true
		_ = syscall.Shutdown(c.gc.Fd(), syscall.SHUT_WR) // fails when the peer has reset: OnClose follows
	}
}

// closed is gnet's OnClose.
func (c *conn) closed() {
	l := c.loop
	c.endSession()
	if c.state < stateClosing {
		l.room.metrics.closes.WithLabelValues(code.OK.String()).Inc()
		c.note("connection ended by the device", code.OK)
	}
	c.state = stateClosed
	l.wheel.disarm(c)
	l.room.outbound.Add(-int64(c.outbound))
	c.outbound = 0
	l.room.gone(c.gc.RemoteAddr())
	l.room.connections.Add(-1)
}

// armAt makes sure that visit runs at the loop time given (ms), rounded up to
// a tick.
func (c *conn) armAt(at int64) {
	ms := c.loop.room.tick.Milliseconds()
	c.loop.wheel.arm(c, uint32((at+ms-1)/ms))
}

// visit looks at everything that has a deadline and arms the next one.
func (c *conn) visit() {
	now := c.loop.now
	switch c.state {
	case stateHello, stateAuth:
		if now < c.due {
			c.armAt(c.due)
			return
		}
		if c.state == stateHello {
			c.bye(code.HelloTimeout, 0, "")
		} else {
			c.refuse(code.Errorf(code.Busy, "the token could not be checked in time"))
		}
	case stateClosing:
		c.finish()
		if now >= c.due {
			_ = c.loop.el.Close(c.gc) // runs OnClose
			return
		}
		c.armAt(now + 1)
	case stateLive:
		c.visitLive(now)
	}
}

// visitLive checks heartbeat and outbound buffer and repeats what failed.
func (c *conn) visitLive(now int64) {
	deadline := c.heard + int64(c.heartbeat)*3/2 + c.loop.room.cfg.Heartbeat.Grace.Std().Milliseconds()
	if now >= deadline {
		c.bye(code.HeartbeatTimeout, 0, "")
		return
	}
	c.armAt(deadline)
	if (c.outbound > 0 || c.due != 0) && !c.watchOutbound(now) {
		return
	}
	c.retry(now)
	c.tidyUps()
}
