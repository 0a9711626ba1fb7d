package room

// flight is the ring of a lane's messages that were written and not yet
// acknowledged. A lane has one only while something is in flight; the loop
// keeps the unused ones.
type flight struct {
	head  int
	n     int
	bytes int
	ring  []flying // never grows: its length is lane_window
}

// flying is one message on its way.
type flying struct {
	seq     uint64
	written int64 // loop time in ms
	size    int32 // bytes of the frame
}

func newFlight(window int) *flight { return &flight{ring: make([]flying, window)} }

// push adds the newest; the caller has seen the window open.
func (f *flight) push(seq uint64, size int, now int64) {
	if f.n == len(f.ring) {
		panic("room: a message was written past the window")
	}
	f.ring[(f.head+f.n)%len(f.ring)] = flying{seq, now, int32(size)}
	f.n++
	f.bytes += size
}

// popTo removes everything up to seq and returns when the last of it was
// written; 0 when there was nothing.
func (f *flight) popTo(seq uint64) (written int64) {
	for f.n > 0 {
		m := &f.ring[f.head]
		if m.seq > seq {
			break
		}
		written = m.written
		f.bytes -= int(m.size)
		f.head = (f.head + 1) % len(f.ring)
		f.n--
	}
	return written
}

// reset empties it for another lane.
func (f *flight) reset() { f.head, f.n, f.bytes = 0, 0, 0 }
