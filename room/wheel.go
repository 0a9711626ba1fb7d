package room

// wheelSlots is the number of slots, a power of two. Deadlines further away
// than that many ticks stay in their slot for another round.
const wheelSlots = 512

// wheel is a loop's timing wheel: a connection is in it at most once, at its
// earliest deadline (hashed timing wheels, Varghese and Lauck, 1987). It is
// turned by ticks of the loop and costs no runtime timer.
type wheel struct {
	tick  uint32 // the last tick that was handled
	slots [wheelSlots]*conn
	due   []*conn // scratch of advance
}

func (w *wheel) reset(tick uint32) { w.tick = tick }

// arm makes sure that c is visited at tick or before; a tick that has passed
// means the next one.
func (w *wheel) arm(c *conn, tick uint32) {
	tick = max(tick, w.tick+1)
	if c.tick != 0 {
		if c.tick <= tick {
			return
		}
		w.disarm(c)
	}
	c.tick = tick
	slot := &w.slots[tick%wheelSlots]
	c.next = *slot
	if c.next != nil {
		c.next.prev = c
	}
	*slot = c
}

// disarm takes c out.
func (w *wheel) disarm(c *conn) {
	if c.tick == 0 {
		return
	}
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		w.slots[c.tick%wheelSlots] = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	}
	c.next, c.prev, c.tick = nil, nil, 0
}

// advance handles all ticks up to and including tick: visit is called for each
// connection that is due, which is out of the wheel by then.
func (w *wheel) advance(tick uint32, visit func(*conn)) {
	if tick <= w.tick {
		return
	}
	from := max(w.tick, max(tick, wheelSlots)-wheelSlots) + 1
	w.tick = tick
	w.due = w.due[:0]
	for t := from; t <= tick; t++ {
		for c := w.slots[t%wheelSlots]; c != nil; {
			next := c.next
			if c.tick <= tick {
				w.disarm(c)
				w.due = append(w.due, c)
			}
			c = next
		}
	}
	for i, c := range w.due {
		w.due[i] = nil
		visit(c)
	}
	if cap(w.due) > 65536 {
		w.due = nil
	}
}

// each calls f for every armed connection; f may arm and disarm any. All open
// connections of a loop are armed, so this is also the list of them.
func (w *wheel) each(f func(*conn)) {
	var all []*conn
	for _, c := range w.slots {
		for ; c != nil; c = c.next {
			all = append(all, c)
		}
	}
	for _, c := range all {
		f(c)
	}
}
