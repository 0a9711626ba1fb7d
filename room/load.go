package room

import (
	"time"

	"longlink/pkg/api"
	"longlink/pkg/code"
)

// startLoad asks saver for a page: after the device's own cursor at login,
// later after what was sent, as much as the window has free, one message at least:
// with a closed window it tells whether there is more.
func (c *conn) startLoad(ln *lane) {
	r := c.loop.room
	ln.loading = true
	after := ln.sent
	if !ln.loaded {
		after = ln.stored
	}
	messages, bytes := ln.free(r.window)
	item := &api.LoadItem{Meta: &api.Meta{}, Device: c.device, Product: ln.product, After: after, Login: !ln.loaded,
		MaxMessages: uint32(max(messages, 1)), MaxBytes: uint32(max(bytes, 1))}
	if !ln.loaded && ln.alias != nil {
		item.Alias = *ln.alias
	}
	s, key := slotOf(c.device)
	t := &loaded{c: c, gen: ln.gen, asked: ln.known}
	r.load.ToOwner(s, key, r.deadline(), item, func(res *api.LoadResult, err *code.Error) {
		t.res, t.err = res, err
		t.c.loop.post(t)
	})
}

// loaded brings a page back to the loop.
type loaded struct {
	c     *conn
	gen   uint32
	asked uint64 // known when the load began
	res   *api.LoadResult
	err   *code.Error
}

func (t *loaded) run(l *loop) {
	c := t.c
	defer l.guard(c)
	ln := c.laneOf(t.gen)
	if c.state != stateLive || ln == nil {
		l.room.metrics.drop(code.DropOldBatch)
		return
	}
	if t.err != nil {
		c.loadFailed(ln, t.err)
		return
	}
	if !ln.loaded {
		ln.login(t.res.Cursor)
		ln.stored = ln.acked
		if ln.alias != nil { // told: an idle lane keeps none
			ln.binding = l.bindingOf(ln.product, ln.tags, nil)
		}
		c.boundAt(ln)
	}
	c.page(ln, t.res, t.asked)
}

// page writes what a load brought and goes on by the rule. asked was known when
// the load began.
func (c *conn) page(ln *lane, res *api.LoadResult, asked uint64) {
	r := c.loop.room
	whole, tail := true, res.Tail
	for _, m := range res.Messages {
		if !ln.takes(m.Seq) {
			continue
		}
		// More than was asked for, or the pages of other lanes have filled the
		// outbound buffer: the rest is loaded again later.
		if !ln.open(r.window) || !c.takesPushes() {
			whole, tail = false, max(tail, m.Seq)
			break
		}
		c.push(ln, m, kindLoad)
		if c.state != stateLive {
			return
		}
	}
	// A page that says there is more and brings nothing would be asked for
	// again at once and for ever.
	if empty := len(res.Messages) == 0 && res.More; empty {
		ln.pageEnd(tail, 0, false)
		c.loadFailed(ln, code.Errorf(code.Unavailable, "an empty page"))
		return
	}
	last := whole && !res.More
	ln.pageEnd(tail, res.AsOf, last)
	if last && ln.sent < asked {
		// What was known before the read is beyond the slot's clock: Redis was lost
		// with a message that was never committed, or this was an old copy. The
		// next append of the slot passes it; until then looking at once would be
		// looking for ever.
		c.loadLater(ln, 0)
		return
	}
	ln.loads = 0
	c.pump(ln)
}

// loadFailed repeats the load after a back-off for as long as the product is
// bound, unless the refusal is final: then the product is taken off.
func (c *conn) loadFailed(ln *lane, err *code.Error) {
	ln.loading = false
	if err.Code.Action() == code.Never && !ln.loaded {
		product := ln.product
		c.removeLane(ln)
		c.bound(product, err)
		return
	}
	c.loadLater(ln, err.Retry)
}

// loadLater starts the next load after a back-off.
func (c *conn) loadLater(ln *lane, hint time.Duration) {
	ln.loadAt = c.loop.now + c.loop.room.backoff(ln.loads, hint)
	ln.loads = min(ln.loads+1, 16)
	c.armAt(ln.loadAt)
}
