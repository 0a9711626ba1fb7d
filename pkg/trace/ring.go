package trace

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"

	"longlink/pkg/code"
)

// Stage is a step in the life of a message.
type Stage string

// The stages, in the order of a message that meets no trouble.
const (
	Accepted     Stage = "accepted"     // center took the call
	Stored       Stage = "stored"       // in Redis and in the ledger; saver
	Located      Stage = "located"      // center knows the room, or why not
	Handed       Stage = "handed"       // a room's answer to the delivery; center, or saver's sweep
	Loaded       Stage = "loaded"       // in a page of the lane for the room; saver
	Written      Stage = "written"      // into the connection; room
	Acknowledged Stage = "acknowledged" // the device's cursor passed it; room
	Recalled     Stage = "recalled"     // its sender took it back; saver
)

// Event is one step. Device, Product and Seq are empty or 0 where a step is not
// about one lane; ID is empty for acknowledgements, which are cumulative: one of
// seq n is of every message of the lane up to n.
type Event struct {
	At      time.Time
	Stage   Stage
	ID      string
	Product string
	Device  string
	Seq     uint64
	Code    code.Code // OK: it went well
	Detail  string    // one word or sentence; constant text, so that it costs nothing
}

// segments spread the writers of a ring over locks.
const segments = 8

// Ring holds the last events of an instance. The zero of *Ring (nil) remembers
// nothing. Safe for use by many goroutines.
type Ring struct {
	parts [segments]segment
}

type segment struct {
	mu     sync.Mutex
	events []Event // capacity is fixed
	next   int     // the oldest, once full
}

// New makes a ring of about size events; 0: nil, which remembers nothing. An
// event takes about 150 bytes beside the strings it shares with its message.
func New(size int) *Ring {
	if size <= 0 {
		return nil
	}
	r := &Ring{}
	for i := range r.parts {
		r.parts[i].events = make([]Event, 0, (size+segments-1)/segments)
	}
	return r
}

// Add remembers a step; its At is now where it is zero.
func (r *Ring) Add(e Event) {
	if r == nil {
		return
	}
	if e.At.IsZero() {
		e.At = time.Now()
	}
	s := &r.parts[xxhash.Sum64String(e.Device)%segments]
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.events) < cap(s.events) {
		s.events = append(s.events, e)
		return
	}
	s.events[s.next] = e
	s.next = (s.next + 1) % len(s.events)
}

// Target is a place in a lane.
type Target struct {
	Product, Device string
	Seq             uint64
}

// Find returns the steps of a message, oldest first, at most max: those that
// carry its id, and the first acknowledgement that passed each target. product
// limits them; empty: any.
func (r *Ring) Find(id, product string, targets []Target, max int) []Event {
	if r == nil {
		return nil
	}
	at := make(map[[2]string]uint64, len(targets))
	for _, t := range targets {
		at[[2]string{t.Product, t.Device}] = t.Seq
	}
	var out []Event
	passed := map[[2]string]int{} // lane to place in out
	for i := range r.parts {
		for _, e := range r.parts[i].copy() {
			if product != "" && e.Product != product {
				continue
			}
			if e.ID == id && id != "" {
				out = append(out, e)
				continue
			}
			lane := [2]string{e.Product, e.Device}
			seq, asked := at[lane]
			if !asked || e.ID != "" || e.Stage != Acknowledged || e.Seq < seq {
				continue
			}
			if n, ok := passed[lane]; !ok {
				passed[lane] = len(out)
				out = append(out, e)
			} else if e.At.Before(out[n].At) {
				out[n] = e
			}
		}
	}
	slices.SortStableFunc(out, func(a, b Event) int { return cmp.Compare(a.At.UnixNano(), b.At.UnixNano()) })
	return out[:min(len(out), max)]
}

// copy is the segment's events in any order.
func (s *segment) copy() []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.events)
}
