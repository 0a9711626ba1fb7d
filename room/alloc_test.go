package room

import (
	"context"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/panjf2000/gnet/v2"
	"github.com/prometheus/client_golang/prometheus"

	"longlink/pkg/api"
	"longlink/pkg/batch"
	"longlink/pkg/cluster"
	"longlink/pkg/rpc"
	"longlink/pkg/service"
	"longlink/pkg/trace"
	"longlink/pkg/wire"
)

// fakeConn is the part of a gnet.Conn that the room uses, in memory. What is
// not implemented panics.
type fakeConn struct {
	gnet.Conn
	in      []byte
	written int
	stuck   int // pretended outbound buffer
}

func (f *fakeConn) Peek(n int) ([]byte, error) {
	if n > len(f.in) {
		return nil, io.ErrShortBuffer
	}
	return f.in[:n], nil
}

func (f *fakeConn) Discard(n int) (int, error) {
	f.in = f.in[n:]
	return n, nil
}

func (f *fakeConn) InboundBuffered() int        { return len(f.in) }
func (f *fakeConn) OutboundBuffered() int       { return f.stuck }
func (f *fakeConn) RemoteAddr() net.Addr        { return nil }
func (f *fakeConn) Fd() int                     { return -1 }
func (f *fakeConn) Write(p []byte) (int, error) { f.written += len(p); return len(p), nil }

// fakeLoop runs nothing by itself.
type fakeLoop struct{ gnet.EventLoop }

func (fakeLoop) Execute(context.Context, gnet.Runnable) error { return nil }
func (fakeLoop) Close(gnet.Conn) error                        { return nil }

// idleRoom is a room without engine or peers, and one logged-in connection
// with one bound product whose login load is done.
func idleRoom(t testing.TB) (*Room, *conn, *fakeConn) {
	t.Helper()
	reg := prometheus.NewRegistry()
	peers := rpc.NewPeers(&rpc.InProcess{}, cluster.NewHolder(), rpc.Identity{ID: "room-1", Epoch: 1}, slog.New(slog.DiscardHandler), batch.NewMetrics(reg), nil)
	r := New(DefaultConfig(), service.Deps{Log: slog.New(slog.DiscardHandler), Registry: reg, Peers: peers, Directory: &fakeDirectory{}, Trace: trace.New(1024)})
	fc := &fakeConn{}
	c := &conn{number: 1, gc: fc, loop: r.newLoop(fakeLoop{}, 0), state: stateLive, heartbeat: 300_000}
	r.devices.claim(c, "device-with-a-name-of-some-length", 0, time.Now())
	c.lanes = []lane{{binding: &binding{product: "demo"}, gen: 1, position: position{loaded: true}}}
	return r, c, fc
}

func TestHotPathDoesNotAllocate(t *testing.T) {
	_, c, fc := idleRoom(t)
	l := c.loop
	ln := &c.lanes[0]
	ln.ackFlies = true // an ack is on its way: the newest waits
	item := &api.DeliverItem{Device: c.device, Product: "demo", Epoch: c.epoch, Message: &api.LaneMessage{
		Message: &api.Message{Id: "01K0000000000000000000000000000000000-long", Flags: wire.FlagText, Payload: make([]byte, 256), AcceptedMs: time.Now().UnixMilli()}}}
	seq := uint64(0)
	ack := wire.AppendAck(nil, &wire.Ack{Product: []byte("demo"), Seq: 1})
	turn := func(fn func()) func() {
		return func() {
			l.begin()
			fn()
			l.end()
		}
	}
	deliver := func() {
		seq++
		item.Message.Seq, item.Message.Prev = seq, seq-1
		if got := c.deliver(item); got != api.DeliverResult_STATE_SENT {
			t.Fatalf("%v", got)
		}
	}
	for _, path := range []struct {
		name string
		fn   func()
	}{
		{"deliver, then ack", turn(func() {
			deliver()
			ack = wire.AppendAck(ack[:0], &wire.Ack{Product: bytesOf("demo"), Seq: seq})
			fc.in = ack
			l.read(c)
		})},
		{"qos 0", turn(func() {
			item.Message.Seq = 0
			if got := c.deliver(item); got != api.DeliverResult_STATE_SENT {
				t.Fatalf("%v", got)
			}
		})},
		{"ping", turn(func() { fc.in = wire.PingFrame; l.read(c) })},
		{"duplicate", turn(func() {
			item.Message.Seq = seq
			if got := c.deliver(item); got != api.DeliverResult_STATE_DUPLICATE {
				t.Fatalf("%v", got)
			}
		})},
		{"tick", turn(func() { c.visit() })},
	} {
		path.fn() // fills the free lists
		before := fc.written
		if n := testing.AllocsPerRun(200, path.fn); n != 0 {
			t.Errorf("%s: %v allocations", path.name, n)
		}
		if c.state != stateLive {
			t.Fatalf("%s ended the connection", path.name)
		}
		if wrote := fc.written > before; wrote != (path.name != "duplicate" && path.name != "tick") {
			t.Errorf("%s: written %v", path.name, wrote)
		}
	}
	if l.flights == nil || ln.flight != nil {
		t.Error("the ring was not given back")
	}

}

// TestOneTurnIsOneWrite: what a turn has for a connection leaves together, and
// over the hard limit the connection is closed.
func TestOneTurnIsOneWrite(t *testing.T) {
	r, c, fc := idleRoom(t)
	writes := 0
	c.gc = &countingConn{fc, &writes}
	c.loop.begin()
	for seq := uint64(1); seq <= 10; seq++ {
		c.deliver(&api.DeliverItem{Product: "demo", Message: &api.LaneMessage{Seq: seq, Prev: seq - 1, Message: &api.Message{Payload: []byte("x")}}})
	}
	c.loop.end()
	if writes != 1 {
		t.Errorf("%d writes", writes)
	}
	fc.stuck = int(r.cfg.OutboundLimit) / 2
	if got := c.deliver(&api.DeliverItem{Product: "demo", Message: &api.LaneMessage{Seq: 11, Prev: 10, Message: &api.Message{}}}); got != api.DeliverResult_STATE_HAVE {
		t.Errorf("half full: %v", got)
	}
	fc.stuck = int(r.cfg.OutboundLimit) + 1
	fc.in = wire.PingFrame
	c.loop.begin()
	c.loop.read(c)
	c.loop.end()
	if c.state != stateClosing {
		t.Errorf("over the limit: state %d", c.state)
	}
	if r.devices.get(c.device) != nil {
		t.Error("the session lives on")
	}
}

type countingConn struct {
	*fakeConn
	n *int
}

func (c *countingConn) Write(p []byte) (int, error) { *c.n++; return c.fakeConn.Write(p) }

// BenchmarkDeliverAndAck is the loop's work for one message, without sockets.
func BenchmarkDeliverAndAck(b *testing.B) {
	_, c, fc := idleRoom(b)
	c.lanes[0].ackFlies = true
	item := &api.DeliverItem{Device: c.device, Product: "demo", Message: &api.LaneMessage{Message: &api.Message{Id: "01K00000000000000000000000", Payload: make([]byte, 256)}}}
	var ack []byte
	b.ReportAllocs()
	for seq := uint64(1); b.Loop(); seq++ {
		c.loop.begin()
		item.Message.Seq, item.Message.Prev = seq, seq-1
		c.deliver(item)
		ack = wire.AppendAck(ack[:0], &wire.Ack{Product: bytesOf("demo"), Seq: seq})
		fc.in = ack
		c.loop.read(c)
		c.loop.end()
	}
}
