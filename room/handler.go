package room

import (
	"github.com/panjf2000/gnet/v2"

	"longlink/pkg/code"
)

// readTurn is gnet's read buffer: what one device can make its loop handle
// before the next device's turn, since each turn reads at most once.
const readTurn = 16 << 10

// handler is the door from gnet into the room. Every body is guarded: a panic
// in gnet's loop would end the process.
type handler struct {
	gnet.BuiltinEventEngine
	room *Room
}

// OnOpen runs on the loop before Enroll returns.
func (h *handler) OnOpen(gc gnet.Conn) (out []byte, action gnet.Action) {
	c := gc.Context().(*conn)
	l := h.room.meet(gc.EventLoop())
	c.loop, c.gc = l, gc
	defer l.guard(c)
	l.begin()
	c.heard = l.now
	c.due = l.now + h.room.cfg.HelloTimeout.Std().Milliseconds()
	c.armAt(c.due)
	if h.room.stopping.Load() {
		c.bye(code.Shutdown, h.room.comeBack(), "")
		l.end()
	}
	return nil, gnet.None
}

// OnTraffic runs on the loop whenever bytes came.
func (h *handler) OnTraffic(gc gnet.Conn) gnet.Action {
	c := gc.Context().(*conn)
	l := c.loop
	l.begin()
	l.read(c)
	l.end()
	return gnet.None
}

func (l *loop) read(c *conn) {
	defer l.guard(c)
	c.read()
}

// OnClose runs on the loop, once for each OnOpen; also inside a Write that
// failed.
func (h *handler) OnClose(gc gnet.Conn, _ error) gnet.Action {
	c := gc.Context().(*conn)
	c.loop.close(c)
	return gnet.None
}

func (l *loop) close(c *conn) {
	defer l.guard(nil)
	c.closed()
}
