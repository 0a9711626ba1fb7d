package room

import "longlink/pkg/code"

// How a slow device is bounded. gnet's outbound buffer has no limit and no
// event when it drains, so its length is looked at after every write and, while
// it is not empty, at every tick. From half of outbound_limit pushes wait in
// their lanes, as behind a closed window; the rest of the limit is for what
// cannot wait (answers). A device is closed with SLOW_CONSUMER when the limit
// is passed, or when pushes wait and nothing has left for slow_timeout.

// takesPushes is true while the outbound buffer, with what this turn gathered,
// is under half of its limit.
func (c *conn) takesPushes() bool {
	n := c.gc.OutboundBuffered()
	if c.out != nil {
		n += len(c.out.b)
	}
	if n < int(c.loop.room.cfg.OutboundLimit)/2 {
		return true
	}
	if c.due == 0 {
		c.stuck = int32(n)
		c.waitForRoom()
		c.armAt(c.loop.now)
	}
	return false
}

// waitForRoom gives the device slow_timeout from now to take something.
func (c *conn) waitForRoom() { c.due = c.loop.now + c.loop.room.cfg.SlowTimeout.Std().Milliseconds() }

// seeOutbound reads the length of the outbound buffer into the gauge and keeps
// an eye on it while it is not empty.
func (c *conn) seeOutbound() int {
	n := c.gc.OutboundBuffered()
	if int32(n) != c.outbound {
		c.loop.room.outbound.Add(int64(n) - int64(c.outbound))
		c.outbound = int32(n)
	}
	if n > 0 {
		c.armAt(c.loop.now)
	}
	return n
}

// watchOutbound is the look at every tick. When the buffer has drained far
// enough the lanes go on; false when the connection was closed.
func (c *conn) watchOutbound(now int64) bool {
	n := int32(c.seeOutbound())
	if c.due == 0 {
		return true
	}
	switch {
	case c.takesPushes():
		c.due = 0
		c.pumpAll()
	case n < c.stuck:
		c.stuck = n
		c.waitForRoom()
	case now >= c.due:
		c.loop.room.metrics.drop(code.DropSlow)
		c.bye(code.SlowConsumer, 0, "")
		return false
	}
	return true
}
