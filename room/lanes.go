package room

import (
	"longlink/pkg/code"
	"longlink/pkg/wire"
)

// lane is one bound product of a connection: the rule's position, and what of
// it is on its way to or from saver.
type lane struct {
	position
	*binding
	// stored is the highest cursor that saver has confirmed; before the login
	// load is answered, the device's own cursor.
	stored   uint64
	loadAt   int64  // loop time at which a failed load is repeated; 0: none
	ackAt    int64  // the same for an ack
	gen      uint32 // tells this binding from an earlier one of the product
	change   uint16 // registration that must be known before the first load
	loads    uint8  // failed in a row
	acks     uint8  // failed in a row
	ackFlies bool
	byToken  bool
}

// binding is a product with its tags. Connections share those that have nothing
// else.
type binding struct {
	product string
	tags    []string
	alias   *string // that the token names, until saver was told of it; else nil
}

// claim is what a device token says of one product.
type claim struct {
	product string
	alias   *string // nil: none
}

func (b *binding) is(product string) bool { return b.product == product }

// bindingOf takes the directory's own string for the product, of which there
// are few, and shares the binding when it has no tags and no alias.
func (l *loop) bindingOf(product string, tags []string, alias *string) *binding {
	if len(tags) > 0 || alias != nil {
		return &binding{product, tags, alias}
	}
	b, ok := l.bindings[product]
	if !ok {
		b = &binding{product: product}
		l.bindings[product] = b
	}
	return b
}

// addLane binds an admitted product. The caller has checked the limit.
func (c *conn) addLane(a *admission) {
	c.laneGens++
	c.lanes = append(c.lanes, lane{
		binding: c.loop.bindingOf(a.product, a.binding.Tags, a.alias), stored: a.binding.Cursor,
		gen: c.laneGens, change: c.reg.wanted + 1, byToken: a.byToken,
	})
}

// lane finds a bound product; nil when it is not bound. The pointer is good
// until the next bind or unbind.
func (c *conn) lane(product string) *lane {
	for i := range c.lanes {
		if c.lanes[i].is(product) {
			return &c.lanes[i]
		}
	}
	return nil
}

// laneNamed is lane for a name that points into gnet's buffer.
func (c *conn) laneNamed(product []byte) *lane {
	for i := range c.lanes {
		if c.lanes[i].product == string(product) { // compares without a copy
			return &c.lanes[i]
		}
	}
	return nil
}

// laneOf finds the lane that a result belongs to; nil when it was unbound.
func (c *conn) laneOf(gen uint32) *lane {
	for i := range c.lanes {
		if c.lanes[i].gen == gen {
			return &c.lanes[i]
		}
	}
	return nil
}

// endLane gives back what the lane holds and sends its last ack.
func (c *conn) endLane(ln *lane) {
	if ln.flight != nil {
		c.loop.putFlight(ln.flight)
		ln.flight = nil
	}
	if ln.loaded && ln.acked > ln.stored {
		c.lastAck(ln)
	}
}

// bound says what became of a product.
func (c *conn) bound(product string, err *code.Error) {
	m := wire.Bound{Product: product}
	if err != nil {
		m.Code, m.Message = err.Code, err.Message
		if err.Code.Action() == code.RetryAfter {
			m.RetryMS = err.RetryMS()
		}
	}
	b := c.gather()
	b.b = wire.AppendBound(b.b, &m)
}

// boundAt is the BOUND of a product that is bound, with the cursor that holds.
func (c *conn) boundAt(ln *lane) {
	b := c.gather()
	b.b = wire.AppendBound(b.b, &wire.Bound{Product: ln.product, Code: code.OK, Cursor: ln.acked})
}

// pump starts a load when the rule wants one.
func (c *conn) pump(ln *lane) {
	if ln.loading || ln.loadAt != 0 || !ln.loaded && !c.reg.has(ln.change) {
		return
	}
	// The buffer is looked at only when the answer matters.
	if ln.loaded && (ln.sent >= ln.known || !c.takesPushes()) {
		return
	}
	if ln.wantsLoad(c.loop.room.window, true) {
		c.startLoad(ln)
	}
}

func (c *conn) pumpAll() {
	for i := range c.lanes {
		c.pump(&c.lanes[i])
	}
}
