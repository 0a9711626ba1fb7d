package room

import (
	"longlink/pkg/code"
	"longlink/pkg/wire"
)

// read handles every whole frame that has come. What is left is less than one
// frame and stays in gnet's inbound buffer, so max_hello and then max_frame
// bound that buffer; a longer frame is refused by its head.
func (c *conn) read() {
	c.heard = c.loop.now
	for c.state < stateClosing {
		have := c.gc.InboundBuffered()
		if have == 0 {
			return
		}
		head, err := c.gc.Peek(min(have, wire.MaxHeader))
		if err != nil {
			return
		}
		if c.state == stateHello && wire.Type(head[0]) != wire.TypeHello {
			c.bye(code.ProtocolError, 0, "the first frame must be HELLO")
			return
		}
		limit := int(c.loop.room.cfg.MaxFrame)
		if c.state < stateLive {
			limit = int(c.loop.room.cfg.MaxHello)
		}
		t, body, n, cerr := wire.Header(head, limit)
		if cerr != nil {
			c.byeError(cerr)
			return
		}
		if n == 0 || have < n+body {
			return
		}
		if n+body == have || have <= readTurn {
			// All at once: one look, then frame by frame in place.
			if !c.readAll(have, limit) {
				return
			}
			continue
		}
		frame, err := c.gc.Peek(n + body)
		if err != nil {
			return
		}
		c.frame(t, frame[n:])
		c.discard(n + body)
	}
	if c.state == stateClosing {
		c.discard(c.gc.InboundBuffered())
	}
}

// readAll handles the whole frames among the first have bytes. False when the
// rest is no whole frame, or the connection has ended.
func (c *conn) readAll(have, limit int) bool {
	all, err := c.gc.Peek(have)
	if err != nil {
		return false
	}
	used := 0
	for c.state < stateClosing {
		was := c.state
		t, body, n, cerr := wire.Header(all[used:], limit)
		if cerr != nil {
			c.byeError(cerr)
			break
		}
		if n == 0 || have-used < n+body {
			break
		}
		c.frame(t, all[used+n:used+n+body])
		used += n + body
		if c.state != was {
			break // other limits hold from here
		}
	}
	c.discard(used)
	return c.state < stateClosing && used > 0
}

// discard drops what was handled; a closed connection's buffers are gone.
func (c *conn) discard(n int) {
	if c.state != stateClosed && n > 0 {
		_, _ = c.gc.Discard(n)
	}
}

// frame handles one frame. The body points into gnet's buffer.
func (c *conn) frame(t wire.Type, body []byte) {
	if c.state != stateLive {
		c.early(t, body)
		return
	}
	switch t {
	case wire.TypeAck:
		c.onAck(body)
	case wire.TypePing:
		c.pong()
	case wire.TypePong:
	case wire.TypeBind:
		c.onBind(body)
	case wire.TypeUnbind:
		c.onUnbind(body)
	case wire.TypeUp:
		c.onUp(body)
	case wire.TypeBye:
		c.onBye(body)
	case wire.TypeHello, wire.TypeWelcome, wire.TypeBound, wire.TypePush, wire.TypeUpAck, wire.TypeRedirect:
		c.bye(code.ProtocolError, 0, t.String()+" is not allowed from a logged-in device")
	default: // a newer peer's: skipped by its length
	}
}

// early handles frames before WELCOME.
func (c *conn) early(t wire.Type, body []byte) {
	switch {
	case c.state == stateHello:
		c.onHello(body)
	case t == wire.TypePing:
		c.pong()
	case t == wire.TypeBye:
		c.onBye(body)
	default:
		c.bye(code.ProtocolError, 0, t.String()+" is not allowed before WELCOME")
	}
}

func (c *conn) pong() {
	b := c.gather()
	b.b = append(b.b, wire.PongFrame...)
	c.spill()
}

// onBye: the device leaves; nothing more is said to it.
func (c *conn) onBye(body []byte) {
	if _, err := wire.ParseBye(body); err != nil {
		c.byeError(err)
		return
	}
	_ = c.loop.el.Close(c.gc) // runs OnClose
}
