package sdk

import "longlink/pkg/wire"

// product is one product's cursors, lanes and outbox. All of it is guarded by
// Client.mu and outlives connections.
type product struct {
	Product
	wanted bool // bind it at the next login
	known  bool // State holds a cursor for it

	cursor  uint64 // highest seq that is consumed
	saved   uint64 // ≤ cursor: durable, may be acknowledged
	hasBase bool
	base    uint64
	seen    map[uint16]uint64 // consumed broadcasts by place

	unsaved map[uint16]uint64 // consumed, not yet durable
	unacked map[uint16]uint64 // durable, not yet acknowledged

	own, cast *lane
	outbox    outbox
}

func newProduct(p Product, c Cursor, known bool) *product {
	pr := &product{
		Product: p, wanted: true, known: known,
		cursor: c.Seq, saved: c.Seq, hasBase: c.HasBase, base: c.Base, seen: map[uint16]uint64{},
		unsaved: map[uint16]uint64{}, unacked: map[uint16]uint64{},
	}
	for place, seq := range c.Seen {
		pr.seen[place] = seq
	}
	pr.own = newLane(pr)
	pr.own.last = c.Seq
	pr.cast = newLane(pr)
	return pr
}

// consumed moves the cursor past m.
func (p *product) consumed(m *Message) {
	p.known = true
	switch {
	case m.Broadcast:
		p.seen[m.Place] = max(p.seen[m.Place], m.Seq)
		p.unsaved[m.Place] = max(p.unsaved[m.Place], m.Seq)
	case m.Seq > p.cursor:
		p.cursor = m.Seq
	}
}

// hasSeen is the dedup rule of broadcasts.
func (p *product) hasSeen(m *Message) bool {
	return p.hasBase && m.Seq <= p.base || m.Seq <= p.seen[m.Place]
}

// bound takes the server's cursors over after a BOUND with OK; fresh: the first
// for this product on the connection. sent is what HELLO or BIND said: the
// handler may have moved the cursor since, so an equal answer changes nothing, a
// higher one means that the server knows more than the store, and a lower one is
// a cut (the server's clock never gave such a seq). Only a fresh one cuts: later
// ones say what the room has acknowledged, and an ACK may be on its way.
func (p *product) bound(b *wire.Bound, sent Cursor, broadcasts, fresh bool) {
	p.known = true
	switch {
	case fresh && b.Cursor < sent.Seq:
		p.cursor, p.saved = b.Cursor, min(p.saved, b.Cursor)
		p.own.restart(true)
	case b.Cursor > p.cursor:
		p.cursor = b.Cursor
		p.own.restart(p.own.running <= b.Cursor)
	case fresh:
		p.own.restart(false)
	}
	if fresh {
		p.cast.restart(false)
	}
	if !broadcasts {
		return
	}
	cut := fresh && b.Base < sent.Base
	if cut {
		clear(p.seen) // of another history
	}
	if cut || b.Base > p.base || !p.hasBase {
		p.base = b.Base
	}
	p.hasBase = true
	for place, seq := range p.seen {
		if seq <= p.base {
			delete(p.seen, place)
		}
	}
}

// snapshot is the product's part of State.
func (p *product) snapshot() Cursor {
	c := Cursor{Seq: p.cursor, HasBase: p.hasBase, Base: p.base}
	if len(p.seen) > 0 {
		c.Seen = make(map[uint16]uint64, len(p.seen))
		for place, seq := range p.seen {
			c.Seen[place] = seq
		}
	}
	return c
}

// binding is what HELLO and BIND say, from the durable cursor c: it counts as
// an acknowledgement.
func (p *product) binding(c Cursor) wire.Binding {
	b := wire.Binding{Product: p.Name, Tags: p.Tags, Grant: p.Grant, Cursor: c.Seq, HasBase: c.HasBase, Base: c.Base}
	for place, seq := range c.Seen {
		if len(b.Seen) == wire.MaxSeen {
			break // the rest comes again and is dropped here
		}
		b.Seen = append(b.Seen, wire.Seen{Place: place, Seq: seq})
	}
	return b
}
