package room

import (
	"bytes"
	"time"

	"longlink/pkg/api"
	"longlink/pkg/code"
	"longlink/pkg/rpc"
	"longlink/pkg/slot"
	"longlink/pkg/wire"
)

// onUp takes upstream data. UPACK answers: at once when it is refused here, else
// when a saver has stored it. A device that uses UP without having announced it
// is served as well.
func (c *conn) onUp(body []byte) {
	up, err := wire.ParseUp(body)
	if err != nil {
		c.byeError(err)
		return
	}
	if why := c.takeUp(&up); why.code != code.OK {
		c.upAck(up.UpID, why)
	}
	c.tidyUps()
	c.spill()
}

// takeUp puts an UP into its product's line and sends it when its turn has
// come, or says why not.
func (c *conn) takeUp(up *wire.Up) upAnswer {
	r := c.loop.room
	bound := c.laneNamed(up.Product)
	if bound == nil {
		return upAnswer{code: code.Unbound}
	}
	if bad := checkUp(up); bad != code.OK {
		return upAnswer{code: bad}
	}
	if c.ups == nil {
		c.ups = &upstream{}
	}
	u := c.ups
	ln := u.open(bound.product)
	if !ln.inOrder(up.UpID, up.Flags&wire.FlagFirst != 0) {
		return ln.why
	}
	size := upOverhead + len(up.Ext) + len(up.Payload)
	if u.count >= maxUps || u.bytes+size > int(r.cfg.Upstream.MaxBytes) || !r.holdUp(size) {
		ln.refuse(up.UpID, answerOf(&code.Error{Code: code.RateLimited}))
		return ln.why
	}
	if wait := u.spend(size, int64(r.cfg.Upstream.PerSecond), int64(r.cfg.Upstream.MaxBytes), c.loop.now); wait > 0 {
		r.letUp(size)
		ln.refuse(up.UpID, answerOf(code.Errorf(code.RateLimited, "").WithRetry(time.Duration(wait)*time.Millisecond)))
		return ln.why
	}
	u.count++
	u.bytes += size
	// The body points into gnet's buffer.
	ln.waiting = append(ln.waiting, &api.UpItem{Meta: &api.Meta{RequestId: rpc.NewRequestID()},
		Device: c.device, Product: bound.product, Kind: string(up.Kind), UpId: up.UpID,
		Flags: uint32(up.Flags & (wire.FlagText | wire.FlagJSON)), Ext: bytes.Clone(up.Ext), Payload: bytes.Clone(up.Payload),
		Epoch: c.epoch, ReceivedMs: time.Now().UnixMilli()})
	c.sendUp(ln)
	return upAnswer{}
}

// checkUp is OK for an UP that can be stored.
func checkUp(up *wire.Up) code.Code {
	switch {
	case len(up.Payload) > wire.MaxUpPayload || len(up.Ext) > wire.MaxUpExt:
		return code.PayloadTooLarge
	case up.UpID == 0 || up.UpID>>63 != 0 || !wire.ValidName(up.Kind):
		return code.InvalidArgument
	}
	return code.OK
}

// holdUp counts an UP's bytes into the room's, or refuses when they are too
// many; letUp takes them out.
func (r *Room) holdUp(size int) bool {
	if r.upstream.Add(int64(size)) <= int64(r.cfg.Upstream.TotalBytes) {
		return true
	}
	r.letUp(size)
	return false
}

func (r *Room) letUp(size int) { r.upstream.Add(-int64(size)) }

// sendUp carries the next of a line to a coordinator, chosen so that what is of
// one partition of the upstream log travels together; any would do.
func (c *conn) sendUp(ln *upLine) {
	it := ln.next()
	if it == nil {
		return
	}
	r, l := c.loop.room, c.loop
	t := &upAnswered{c: c, product: it.Product, upID: it.UpId, size: upSize(it)}
	s, key := slotOf(c.device)
	r.calls.add()
	r.up.ToOwner(slot.Tag(s)*slot.PerTag, key, r.deadline(), it, func(_ *api.UpResult, err *code.Error) {
		r.letUp(t.size)
		r.calls.done()
		t.err = err
		l.post(t)
	})
}

// upAnswered brings the answer for an UP back to the loop.
type upAnswered struct {
	c       *conn
	product string
	upID    uint64
	size    int
	err     *code.Error
}

func (t *upAnswered) run(l *loop) {
	c := t.c
	defer l.guard(c)
	if c.state != stateLive {
		l.room.metrics.drop(code.DropOldBatch)
		return
	}
	c.ups.count--
	c.ups.bytes -= t.size
	ln := c.ups.line(t.product)
	ln.flies = false
	why := c.upstreamAnswer(t.product, t.err)
	c.upAck(t.upID, why)
	// A product that was unbound meanwhile has no order left to keep.
	if why.again() && c.lane(t.product) != nil {
		ln.refuse(t.upID, why)
		c.refuseWaiting(ln, why)
	}
	c.sendUp(ln)
	c.tidyUps()
	c.spill()
}

// refuseWaiting answers whatever waits in a line.
func (c *conn) refuseWaiting(ln *upLine, why upAnswer) {
	for _, it := range ln.waiting {
		size := upSize(it)
		c.ups.count--
		c.ups.bytes -= size
		c.loop.room.letUp(size)
		c.upAck(it.UpId, why)
	}
	ln.waiting = nil
}

// endUps ends the order of a product that is taken off: what waits is UNBOUND,
// what is on its way is answered as it comes.
func (c *conn) endUps(product string) {
	if c.ups == nil {
		return
	}
	if ln := c.ups.line(product); ln != nil {
		ln.refused = 0
		c.refuseWaiting(ln, upAnswer{code: code.Unbound})
		c.tidyUps()
	}
}

// dropUps forgets what waits when the session ends: the device has no UPACK
// and sends it again.
func (c *conn) dropUps() {
	if c.ups == nil {
		return
	}
	for i := range c.ups.lines {
		for _, it := range c.ups.lines[i].waiting {
			c.loop.room.letUp(upSize(it))
		}
	}
	c.ups = nil
}

// tidyUps gives the memory back that is not needed any more.
func (c *conn) tidyUps() {
	if c.ups != nil && c.ups.tidy(c.loop.now) {
		c.ups = nil
	}
}

// upAck gathers an UPACK.
func (c *conn) upAck(upID uint64, a upAnswer) {
	c.loop.room.metrics.upstream.WithLabelValues(a.code.String()).Inc()
	b := c.gather()
	b.b = wire.AppendUpAck(b.b, &wire.UpAck{UpID: upID, Code: a.code, RetryMS: a.retryMS})
}
