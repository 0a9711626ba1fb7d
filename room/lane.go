package room

// The one rule for gaps, windows, paging and races, without any I/O.
//
// Per lane a connection keeps acked ≤ sent ≤ known:
//
//   - a delivery with seq ≤ sent is a duplicate;
//   - one with prev ≤ sent, the window open and no load running is written;
//   - anything else only raises known;
//   - whenever sent < known, the window is open and no load runs, a load starts;
//   - a load's last page carries as_of, the slot's clock at the read: what is
//     at or below it was in a page or is gone, so sent becomes at least as_of;
//   - acks are cumulative.
//
// prev is the seq of the last message still in the lane when this one was
// appended: with prev ≤ sent nothing can lie between that is not sent.

// window bounds what one lane may have unacknowledged.
type window struct {
	messages int
	bytes    int // a message is written while fewer than this are in flight
}

// position is the rule's state of one lane. The zero value is a lane whose
// login load is still to come.
type position struct {
	acked, sent, known uint64
	flight             *flight // nil when nothing is in flight
	loading            bool    // a load is on its way
	loaded             bool    // the login load has been answered
}

// verdict is what becomes of a delivery.
type verdict uint8

const (
	verdictWrite     verdict = iota // to be written: the caller calls wrote
	verdictHave                     // known; a load brings it
	verdictDuplicate                // sent before
)

// deliver judges a message that was just appended. open says whether the
// connection takes pushes now; the lane's own window is judged here.
func (p *position) deliver(seq, prev uint64, w window, open bool) verdict {
	if seq <= p.sent {
		return verdictDuplicate
	}
	p.known = max(p.known, seq)
	if p.loaded && !p.loading && prev <= p.sent && open && p.open(w) {
		return verdictWrite
	}
	return verdictHave
}

// open is true when the window takes another message.
func (p *position) open(w window) bool {
	return p.flight == nil || p.flight.n < w.messages && p.flight.bytes < w.bytes
}

// free is what a load may bring at most.
func (p *position) free(w window) (messages, bytes int) {
	if p.flight == nil {
		return w.messages, w.bytes
	}
	return w.messages - p.flight.n, w.bytes - p.flight.bytes
}

// wrote notes that the message was written; now is the loop's time in ms. The
// caller has set flight.
func (p *position) wrote(seq uint64, size int, now int64) {
	p.sent = seq
	p.known = max(p.known, seq)
	p.flight.push(seq, size, now)
}

// wantsLoad is true when a load must start. The login load ignores the window,
// which is empty then.
func (p *position) wantsLoad(w window, open bool) bool {
	if p.loading {
		return false
	}
	return !p.loaded || p.sent < p.known && open && p.open(w)
}

// login takes the cursor that holds from the answer of the login load.
func (p *position) login(cursor uint64) {
	if p.loaded {
		return
	}
	p.loaded = true
	p.acked, p.sent = cursor, cursor
	p.known = max(p.known, cursor)
}

// takes is true when a message of a page is to be written: pages may repeat
// what is sent already.
func (p *position) takes(seq uint64) bool { return seq > p.sent }

// pageEnd ends a load. tail is the highest seq in the lane at the read, asOf
// its clock; last is true when the page was the lane's end and all of it was
// written.
func (p *position) pageEnd(tail, asOf uint64, last bool) {
	p.loading = false
	if last {
		p.sent = max(p.sent, asOf)
	}
	p.known = max(p.known, p.sent, tail)
}

// ack takes a cumulative acknowledgement and returns when the newest message
// it covers was written (0: none in flight). A seq above sent is cut to sent,
// and cut is true.
func (p *position) ack(seq uint64) (written int64, cut bool) {
	if seq > p.sent {
		seq, cut = p.sent, true
	}
	if seq <= p.acked {
		return 0, cut
	}
	p.acked = seq
	if p.flight != nil {
		written = p.flight.popTo(seq)
	}
	return written, cut
}
