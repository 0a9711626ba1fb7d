package room

import (
	"time"
	"unsafe"

	"longlink/pkg/api"
	"longlink/pkg/code"
	"longlink/pkg/trace"
	"longlink/pkg/wire"
)

// push writes a message of the lane and counts it into the window. The rule
// has allowed it.
func (c *conn) push(ln *lane, m *api.LaneMessage, kind int) {
	l := c.loop
	size := pushSize(ln.product, m.Message)
	if ln.flight == nil {
		ln.flight = l.getFlight()
	}
	if size > wire.MaxBody {
		// No frame can carry it. It is passed over, or the lane would stand
		// still; the next ack covers it.
		l.room.metrics.drop(code.PayloadTooLarge)
		l.room.step(trace.Written, c.device, ln.product, m.Seq, m.Message.GetId(), code.PayloadTooLarge, "")
		l.room.log.Error("a stored message is larger than any frame", "device", c.device, "product", ln.product, "seq", m.Seq, "bytes", size)
		size = 0
	} else {
		c.write(ln.product, m.Seq, m.Message, kind)
	}
	ln.wrote(m.Seq, size, l.now)
	c.spill()
}

// write gathers one PUSH frame. It does not allocate when the buffer has room.
func (c *conn) write(product string, seq uint64, m *api.Message, kind int) {
	p := wire.Push{Flags: uint8(m.GetFlags()) &^ wire.FlagBroadcast, Product: bytesOf(product), Seq: seq,
		ID: bytesOf(m.GetId()), Ext: m.GetExt(), Payload: m.GetPayload()}
	b := c.gather()
	b.b = wire.AppendPush(b.b, &p)
	mt := c.loop.room.metrics
	mt.deliveries[kind].Inc()
	c.loop.room.step(trace.Written, c.device, product, seq, m.GetId(), code.OK, kindNames[kind])
	if kind != kindLoad && m.GetAcceptedMs() > 0 {
		mt.delivery.Observe(max(0, float64(time.Now().UnixMilli()-m.AcceptedMs)/1000))
	}
}

func pushSize(product string, m *api.Message) int {
	return wire.PushOverhead + len(product) + len(m.GetId()) + len(m.GetExt()) + len(m.GetPayload())
}

// bytesOf shows a string as bytes without a copy; they are only read.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
