package room

import (
	"context"

	"longlink/pkg/code"
)

// productLoop takes deleted products off the connections. One that was deleted
// and made again between two looks is known by its incarnation.
func (r *Room) productLoop(ctx context.Context) error {
	dir := r.deps.Directory
	known := map[string]uint64{}
	for {
		changed := dir.Changed() // before the look: a change in between is not missed
		now := map[string]uint64{}
		for _, p := range dir.Products() {
			now[p.Name] = p.Incarnation
		}
		gone := map[string]bool{}
		for name, incarnation := range known {
			if i, ok := now[name]; !ok || i != incarnation {
				gone[name] = true
			}
		}
		known = now
		if len(gone) > 0 {
			for _, l := range r.allLoops() {
				l.post(taskFunc(func(l *loop) {
					l.wheel.each(func(c *conn) { c.unbindGone(gone) })
				}))
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
	}
}

// unbindGone unbinds those of the products that are bound.
func (c *conn) unbindGone(gone map[string]bool) {
	defer c.loop.guard(c)
	if c.state != stateLive {
		return
	}
	var bound []string
	for i := range c.lanes {
		if gone[c.lanes[i].product] {
			bound = append(bound, c.lanes[i].product)
		}
	}
	for _, p := range bound {
		c.unbind(p, code.Errorf(code.UnknownProduct, "the product was deleted"))
	}
}
