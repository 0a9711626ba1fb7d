package room

import (
	"slices"

	"longlink/pkg/code"
	"longlink/pkg/wire"
)

// onBind adds a product, or changes the tags of a bound one. The grant is
// checked by the workers; BOUND answers when the lane's cursor is known.
func (c *conn) onBind(body []byte) {
	b, err := wire.ParseBinding(body)
	if err != nil {
		c.byeError(err)
		return
	}
	if ln := c.lane(b.Product); ln != nil {
		c.rebind(ln, &b)
		return
	}
	if len(c.lanes) >= wire.MaxBindings {
		c.bound(b.Product, code.Errorf(code.TooManyBindings, "at most %d products on one connection", wire.MaxBindings))
		c.spill()
		return
	}
	if c.binds == maxBinds || !c.loop.room.auth.submit(authJob{c: c, bind: &b, allowed: c.allowed}) {
		c.bound(b.Product, code.Errorf(code.Busy, "too many binds or logins at once").WithRetry(busyRetry()))
		c.spill()
		return
	}
	c.binds++
}

// maxBinds is how many BINDs of one device are checked at a time, so that no
// device fills the queue in which others' logins wait.
const maxBinds = 8

// rebind takes new tags of a product that is bound; its cursor stays.
func (c *conn) rebind(ln *lane, b *wire.Binding) {
	if !validTags(b.Tags) {
		c.bound(b.Product, code.Errorf(code.InvalidArgument, "a tag must be 1 to 64 characters A-Z a-z 0-9 . _ ~ -").WithField("tag"))
		c.spill()
		return
	}
	ln.binding = c.loop.bindingOf(ln.product, b.Tags, ln.alias)
	c.reg.wanted++
	c.register()
	if ln.loaded { // else the login load is answered with BOUND
		c.boundAt(ln)
		c.spill()
	}
}

// bindAdmitted takes the workers' answer to a BIND.
func (c *conn) bindAdmitted(a *admission) {
	c.binds--
	if ln := c.lane(a.product); ln != nil { // the same BIND twice
		c.rebind(ln, a.binding)
		return
	}
	if a.err == nil && len(c.lanes) >= wire.MaxBindings {
		a.err = code.Errorf(code.TooManyBindings, "at most %d products on one connection", wire.MaxBindings)
	}
	if a.err != nil {
		c.bound(a.product, a.err)
		return
	}
	// A new slice: workers may be reading the old one.
	c.allowed = without(c.allowed, a.product)
	c.addLane(a)
	c.reg.wanted++
	c.register()
}

// onUnbind takes a product off; UNBOUND answers, also when it was not bound.
func (c *conn) onUnbind(body []byte) {
	product, err := wire.ParseUnbind(body)
	if err != nil {
		c.byeError(err)
		return
	}
	c.unbind(product, nil)
	c.spill()
}

// unbind takes a product off and says why (nil: UNBOUND). False when it was
// not bound.
func (c *conn) unbind(product string, why *code.Error) bool {
	ln := c.lane(product)
	if ln != nil {
		c.removeLane(ln)
	}
	if why == nil {
		why = &code.Error{Code: code.Unbound}
	}
	c.bound(product, why)
	return ln != nil
}

// removeLane ends the lane and tells register.
func (c *conn) removeLane(ln *lane) {
	c.endLane(ln)
	c.endUps(ln.product)
	if ln.byToken {
		// With the alias when saver was not told of it yet.
		c.allowed = append(slices.Clone(c.allowed), claim{ln.product, ln.alias})
	}
	gen := ln.gen
	c.lanes = slices.DeleteFunc(c.lanes, func(x lane) bool { return x.gen == gen })
	c.reg.wanted++
	c.register()
}

func without(list []claim, product string) []claim {
	var out []claim
	for _, x := range list {
		if x.product != product {
			out = append(out, x)
		}
	}
	return out
}
