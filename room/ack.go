package room

import (
	"longlink/pkg/api"
	"longlink/pkg/code"
	"longlink/pkg/trace"
	"longlink/pkg/wire"
)

// onAck takes a device's acknowledgement. It allocates only for the call that
// carries it to saver, of which there is at most one per lane on its way.
func (c *conn) onAck(body []byte) {
	a, err := wire.ParseAck(body)
	if err != nil {
		c.byeError(err)
		return
	}
	m := c.loop.room.metrics
	ln := c.laneNamed(a.Product)
	if ln == nil || !ln.loaded || a.Flags&wire.FlagBroadcast != 0 {
		m.drop(code.DropUnbound) // as a late one after UNBIND
		return
	}
	before := ln.acked
	written, cut := ln.position.ack(a.Seq)
	if ln.acked > before {
		c.loop.room.deps.Trace.Add(trace.Event{Stage: trace.Acknowledged, Product: ln.product, Device: c.device, Seq: ln.acked})
	}
	if cut {
		m.cutAcks.Inc()
	}
	if written != 0 {
		m.ack.Observe(float64(c.loop.now-written) / 1000)
	}
	if ln.flight != nil && ln.flight.n == 0 {
		c.loop.putFlight(ln.flight)
		ln.flight = nil
	}
	c.forwardAck(ln)
	c.pump(ln)
}

// forwardAck carries the newest acknowledgement to saver; the one on its way
// is awaited first, so that many become one.
func (c *conn) forwardAck(ln *lane) {
	if ln.ackFlies || ln.ackAt != 0 || ln.acked <= ln.stored {
		return
	}
	ln.ackFlies = true
	t := &acked{c: c, gen: ln.gen, seq: ln.acked}
	c.sendAck(ln.product, ln.acked, func(err *code.Error) {
		t.err = err
		t.c.loop.post(t)
	})
}

// lastAck is the ack of a lane that ends: not repeated, since the device
// brings its cursor with the next login.
func (c *conn) lastAck(ln *lane) { c.sendAck(ln.product, ln.acked, func(*code.Error) {}) }

func (c *conn) sendAck(product string, seq uint64, done func(*code.Error)) {
	r := c.loop.room
	item := &api.AckItem{Meta: &api.Meta{}, Device: c.device, Product: product, Seq: seq}
	s, key := slotOf(c.device)
	r.calls.add()
	r.ack.ToOwner(s, key, r.deadline(), item, func(_ *api.AckResult, err *code.Error) {
		r.calls.done()
		done(err)
	})
}

// acked brings saver's answer back to the loop.
type acked struct {
	c   *conn
	gen uint32
	seq uint64
	err *code.Error
}

func (t *acked) run(l *loop) {
	c := t.c
	defer l.guard(c)
	ln := c.laneOf(t.gen)
	if c.state != stateLive || ln == nil {
		l.room.metrics.drop(code.DropOldBatch)
		return
	}
	ln.ackFlies = false
	if t.err != nil {
		ln.ackAt = l.now + l.room.backoff(ln.acks, t.err.Retry)
		ln.acks = min(ln.acks+1, 16)
		c.armAt(ln.ackAt)
		return
	}
	ln.acks = 0
	ln.stored = max(ln.stored, t.seq)
	c.forwardAck(ln)
}
