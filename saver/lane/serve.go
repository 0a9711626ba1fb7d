package lane

import (
	"context"
	"fmt"
	"strconv"
)

// Status is what became of one item of a script call.
type Status int

// Statuses. The zero value is NotReady.
const (
	NotReady  Status = iota // the slot's gen does not name this run
	Done                    // appended, loaded, acknowledged
	Duplicate               // append: the dedup_id was seen before
	Expired                 // append: its time was over before it came
	Full                    // append: no room in the lane
)

// AppendItem is one message on its way into a lane.
type AppendItem struct {
	Ref
	ID          string
	ExpiresMS   int64
	CollapseKey string
	DedupID     string
	Body        []byte
}

// Appended is what became of an AppendItem.
type Appended struct {
	Status  Status
	Seq     uint64
	Prev    uint64
	Seen    Seen // of a Duplicate
	Expired int  // messages dropped from the head on the way
	// ReplacedSeq is the message whose collapse key this one took over; 0: none.
	ReplacedSeq       uint64
	ReplacedExpiresMS int64
}

// Append stores items in order. On an error some of them may be stored.
func (c *Conn) Append(ctx context.Context, items []AppendItem) ([]Appended, error) {
	l := c.store.limits
	k := newCall()
	k.add(l.MaxMessages, l.MaxBytes, l.Dedup.Milliseconds(), len(items))
	for _, it := range items {
		var dedup any = 0
		if it.DedupID != "" {
			dedup = k.key(it.DedupKey(it.DedupID))
		}
		k.add(k.slot(it.Slot), k.key(it.Key()), dedup, it.ID, it.ExpiresMS, it.CollapseKey, len(it.Body), it.Body)
	}
	rows, err := k.run(ctx, c, c.store.scripts.append, len(items))
	if err != nil {
		return nil, err
	}
	out := make([]Appended, len(items))
	for i, v := range rows {
		r, o := rowOf(v), &out[i]
		switch verdict := r.text(0); verdict {
		case "N":
		case "E":
			o.Status = Expired
		case "F":
			o.Status, o.Expired = Full, r.number(1)
		case "D":
			o.Status = Duplicate
			if o.Seen, err = parseSeen(r.text(1)); err != nil {
				return nil, err
			}
		case "A":
			o.Status, o.Seq, o.Prev, o.Expired = Done, r.seq(1), r.seq(2), r.number(3)
			o.ReplacedSeq, o.ReplacedExpiresMS = r.seq(4), int64(r.seq(5))
		default:
			return nil, fmt.Errorf("append answered %q", verdict)
		}
		if r.err != nil {
			return nil, r.err
		}
	}
	return out, nil
}

// LoadItem asks for a page of a lane.
type LoadItem struct {
	Ref
	After       uint64
	Login       bool // After is the device's cursor, which is an ack
	MaxMessages int
	MaxBytes    int // one message comes even when it is larger
}

// Page is what a LoadItem gets.
type Page struct {
	Status   Status
	Clock    uint64 // of the slot, at the read
	Tail     uint64 // highest seq in the lane, 0: empty
	More     bool   // the lane goes on behind the page
	Cursor   uint64 // that holds; with Login
	Expired  int    // messages dropped from the head on the way
	Elements []Element
	Prevs    []uint64 // the seq in front of each element
}

// Load reads pages.
func (c *Conn) Load(ctx context.Context, items []LoadItem) ([]Page, error) {
	k := newCall()
	k.add(len(items))
	for _, it := range items {
		login := 0
		if it.Login {
			login = 1
		}
		k.add(k.slot(it.Slot), k.key(it.Key()), min(it.After, MaxSeq), login, it.MaxMessages, it.MaxBytes)
	}
	rows, err := k.run(ctx, c, c.store.scripts.load, len(items))
	if err != nil {
		return nil, err
	}
	out := make([]Page, len(items))
	for i, v := range rows {
		r, p := rowOf(v), &out[i]
		if r.text(0) == "O" {
			*p = Page{Status: Done, Clock: r.seq(1), Tail: r.seq(2), More: r.number(3) == 1, Cursor: r.seq(4), Expired: r.number(5)}
			for j := 6; j+1 < len(r.fields); j += 2 {
				e, err := parseElement(r.text(j + 1))
				if err != nil {
					return nil, err
				}
				p.Elements, p.Prevs = append(p.Elements, e), append(p.Prevs, r.seq(j))
			}
		}
		if r.err != nil {
			return nil, r.err
		}
	}
	return out, nil
}

// Cursor is how far a lane has been consumed, or a seq to look for.
type Cursor struct {
	Ref
	Seq uint64
}

// Acked is what became of an ack.
type Acked struct {
	Status Status
	Cursor uint64 // cut to the clock
}

// Ack removes what the cursors have passed.
func (c *Conn) Ack(ctx context.Context, items []Cursor) ([]Acked, error) {
	rows, err := cursors(items).run(ctx, c, c.store.scripts.ack, len(items))
	if err != nil {
		return nil, err
	}
	out := make([]Acked, len(items))
	for i, v := range rows {
		r := rowOf(v)
		if r.text(0) == "O" {
			out[i] = Acked{Done, r.seq(1)}
		}
		if r.err != nil {
			return nil, r.err
		}
	}
	return out, nil
}

// Peeked is what waits in a lane.
type Peeked struct {
	Status Status
	Count  int  // messages that have not expired
	Found  bool // the seq asked for is among them, or has just expired
}

// Peek changes nothing.
func (c *Conn) Peek(ctx context.Context, items []Cursor) ([]Peeked, error) {
	rows, err := cursors(items).run(ctx, c, c.store.scripts.peek, len(items))
	if err != nil {
		return nil, err
	}
	out := make([]Peeked, len(items))
	for i, v := range rows {
		r := rowOf(v)
		if r.text(0) == "O" {
			out[i] = Peeked{Done, r.number(1), r.number(2) == 1}
		}
		if r.err != nil {
			return nil, r.err
		}
	}
	return out, nil
}

func cursors(items []Cursor) *call {
	k := newCall()
	k.add(len(items))
	for _, it := range items {
		k.add(k.slot(it.Slot), k.key(it.Key()), strconv.FormatUint(min(it.Seq, MaxSeq), 10))
	}
	return k
}
