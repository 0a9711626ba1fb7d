package bench

import (
	"encoding/binary"
	"math/bits"
	"time"
)

// StampSize is what every payload begins with: run u64, number u64, time of the
// call in Unix ns u64, big-endian.
const StampSize = 24

// MaxMessages bounds one run: the set of their numbers takes a bit each, in
// every process.
const MaxMessages = 50_000_000

type stamp struct {
	run, number uint64
	sent        time.Time
}

// write puts the stamp at the head of a payload of StampSize or more.
func (s stamp) write(payload []byte) {
	binary.BigEndian.PutUint64(payload, s.run)
	binary.BigEndian.PutUint64(payload[8:], s.number)
	binary.BigEndian.PutUint64(payload[16:], uint64(s.sent.UnixNano()))
}

// readStamp is false for what no run could have made.
func readStamp(payload []byte) (s stamp, ok bool) {
	if len(payload) < StampSize {
		return s, false
	}
	s.run = binary.BigEndian.Uint64(payload)
	s.number = binary.BigEndian.Uint64(payload[8:])
	s.sent = time.Unix(0, int64(binary.BigEndian.Uint64(payload[16:])))
	return s, s.number < MaxMessages
}

// numbers is a set of message numbers below MaxMessages, one bit each; between
// processes it is its bytes.
type numbers []byte

// add puts n in; false when it was there.
func (s *numbers) add(n uint64) bool {
	at, bit := int(n/8), byte(1)<<(n%8)
	if at >= len(*s) {
		*s = append(*s, make([]byte, max(at+1, min(2*len(*s), MaxMessages/8))-len(*s))...)
	}
	if (*s)[at]&bit != 0 {
		return false
	}
	(*s)[at] |= bit
	return true
}

// merge adds all of o.
func (s *numbers) merge(o numbers) {
	if len(o) > len(*s) {
		*s = append(*s, make([]byte, len(o)-len(*s))...)
	}
	for i, b := range o {
		(*s)[i] |= b
	}
}

func (s numbers) count() (n int) {
	for _, b := range s {
		n += bits.OnesCount8(b)
	}
	return n
}

// missing counts what is in s and not in o.
func (s numbers) missing(o numbers) (n int) {
	for i, b := range s {
		if i < len(o) {
			b &^= o[i]
		}
		n += bits.OnesCount8(b)
	}
	return n
}
