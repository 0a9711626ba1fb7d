package saver

import (
	"math/rand/v2"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"longlink/saver/lane"
)

// unsettled is the table of the sweep, without any I/O: the lanes whose newest
// messages nobody is known to have taken charge of. One entry a lane, however
// many messages: the room that is told of the newest loads the others.
//
// An entry is in one of three places: in the wheel until it is due, in ready
// until it may be asked about, or out while it is asked about.
type unsettled struct {
	after  time.Duration // from an append to the first question
	maxAge time.Duration
	limit  int
	tick   time.Duration // the wheel's
	start  time.Time
	gauge  prometheus.Gauge

	mu     sync.Mutex
	lanes  map[lane.Ref]*owed
	wheel  [wheelTicks]owed // heads of rings
	ready  owed             // head of a ring
	at     int64            // the last tick that was taken out of the wheel
	out    int
	failed int // entries whose last question had no answer
}

// wheelTicks bounds how far ahead an entry may lie: eight back-offs of eight
// ticks, and the jitter.
const wheelTicks = 128

// ticksAfter is how finely `after` is cut.
const ticksAfter = 8

// maxBackoff bounds the wait between two questions, in `after`s.
const maxBackoff = 8

// owed is one lane of the table.
type owed struct {
	prev, next *owed // in a ring; nil: in none

	ref     lane.Ref
	seq     uint64 // the newest
	id      string // of it; empty: not known
	sure    uint64 // the newest whose append was answered yes
	mark    uint64 // the newest when the wait began
	cursor  uint64 // the highest ack seen
	expires int64  // Unix ms, the latest
	since   time.Time
	last    time.Time // of the newest append
	tries   int
	gone    bool // the room said so, at the last question
	isOut   bool
	over    bool // no longer in the table
}

// question is an entry as it was when it was asked about; the answer settles
// what was there then.
type question struct {
	o   *owed
	ref lane.Ref
	seq uint64
	id  string // for the trace
	// look: whether the lane holds seq must be known first.
	look bool
}

func newUnsettled(after, maxAge time.Duration, limit int, now time.Time, gauge prometheus.Gauge) *unsettled {
	u := &unsettled{after: after, maxAge: maxAge, limit: limit, tick: after / ticksAfter, start: now, gauge: gauge, lanes: map[lane.Ref]*owed{}}
	for i := range u.wheel {
		u.wheel[i].close()
	}
	u.ready.close()
	return u
}

func (o *owed) close() { o.prev, o.next = o, o }

func (o *owed) unlink() {
	if o.prev != nil {
		o.prev.next, o.next.prev = o.next, o.prev
		o.prev, o.next = nil, nil
	}
}

func (o *owed) linkTo(head *owed) {
	o.unlink()
	o.prev, o.next = head.prev, head
	head.prev.next, head.prev = o, o
}

// room is false when a message of this lane could not be kept. Workers ask and
// store at the same time: the table may exceed its limit by what they hold.
func (u *unsettled) room(ref lane.Ref) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.lanes) < u.limit || u.lanes[ref] != nil
}

// len is the number of lanes.
func (u *unsettled) len() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.lanes)
}

// stored keeps a message. sure: its append was answered yes.
func (u *unsettled) stored(ref lane.Ref, seq uint64, id string, expiresMS int64, sure bool, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	o := u.lanes[ref]
	if o == nil {
		o = &owed{ref: ref, mark: seq, since: now}
		u.lanes[ref] = o
		u.gauge.Set(float64(len(u.lanes)))
		u.place(o, now.Add(u.after))
	}
	if seq >= o.seq {
		o.seq, o.id = seq, id
	}
	o.expires, o.last = max(o.expires, expiresMS), now
	if sure {
		o.sure = max(o.sure, seq)
	}
}

// acked settles what a cursor has passed. When newer messages remain and the
// device has taken all that were there when the wait began, the wait begins
// anew: a lane that is busy and healthy is never asked about.
func (u *unsettled) acked(ref lane.Ref, cursor uint64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	o := u.lanes[ref]
	if o == nil {
		return
	}
	if cursor >= o.seq {
		u.remove(o)
		return
	}
	o.cursor = max(o.cursor, cursor)
	if !o.isOut && cursor >= o.mark {
		u.renew(o)
	}
}

// take moves on to now and returns up to most entries that are due, less those
// that are out. Of those that are over, expired had no message left to deliver,
// abandoned could not be settled within maxAge.
func (u *unsettled) take(now time.Time, most int) (due []question, expired, abandoned int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	to := int64(now.Sub(u.start) / u.tick)
	for from := max(u.at, to-wheelTicks); from < to; from++ {
		for head := u.bucket(from + 1); head.next != head; {
			head.next.linkTo(&u.ready)
		}
	}
	u.at = max(u.at, to)
	for u.out < most && u.ready.next != &u.ready {
		o := u.ready.next
		o.unlink()
		switch {
		case o.expires <= now.UnixMilli():
			expired++
			u.remove(o)
		case now.Sub(o.since) > u.maxAge:
			abandoned++
			u.remove(o)
		default:
			u.out++
			o.isOut = true
			due = append(due, question{o: o, ref: o.ref, seq: o.seq, id: o.id, look: o.seq > o.sure})
		}
	}
	return due, expired, abandoned
}

// settled: somebody is in charge of everything up to the question's seq.
func (u *unsettled) settled(q question) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if o := u.back(q); o != nil && o.seq > q.seq {
		u.renew(o)
	} else if o != nil {
		u.remove(o)
	}
}

// unanswered: the question is put again after a back-off that doubles from
// `after`, with jitter.
func (u *unsettled) unanswered(q question, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	o := u.back(q)
	switch {
	case o == nil:
	case o.cursor >= q.seq:
		u.renew(o)
	default:
		u.again(o, now)
	}
}

// moved: the room that was named does not have the session. The first time that
// is taken for a device on its way to another one: it is looked for again soon.
func (u *unsettled) moved(q question, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	o := u.back(q)
	switch {
	case o == nil:
	case o.gone:
		u.again(o, now)
		o.gone = true
	default:
		o.gone = true
		u.place(o, now)
	}
}

// missing: the lane does not hold the seq of a message whose append may have
// failed. What was answered yes before it remains.
func (u *unsettled) missing(q question, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	o := u.back(q)
	switch {
	case o == nil:
	case o.seq > q.seq:
		u.renew(o)
	case o.sure > o.cursor:
		o.seq, o.id = o.sure, ""
		u.place(o, now)
	default:
		u.remove(o)
	}
}

// hurry brings the entries without an answer forward, spread over `after`:
// whoever could not answer may have been replaced.
func (u *unsettled) hurry(now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.failed == 0 {
		return
	}
	for _, o := range u.lanes {
		if o.tries > 0 && !o.isOut {
			u.calm(o)
			u.place(o, now.Add(rand.N(u.after)))
		}
	}
}

// back takes an entry out of `out`; nil when it is over. Under mu, as all below.
func (u *unsettled) back(q question) *owed {
	u.out--
	q.o.isOut = false
	if q.o.over {
		return nil
	}
	return q.o
}

// renew begins the wait of what is younger than the last one.
func (u *unsettled) renew(o *owed) {
	u.calm(o)
	o.mark, o.since, o.gone = o.seq, o.last, false
	u.place(o, o.last.Add(u.after))
}

func (u *unsettled) again(o *owed, now time.Time) {
	if o.tries == 0 {
		u.failed++
	}
	wait := u.after << min(o.tries, 3)
	o.tries++
	o.gone = false
	u.place(o, now.Add(min(wait, maxBackoff*u.after)+rand.N(u.after/4)))
}

func (u *unsettled) calm(o *owed) {
	if o.tries > 0 {
		u.failed--
		o.tries = 0
	}
}

func (u *unsettled) remove(o *owed) {
	u.calm(o)
	o.unlink()
	o.over = true
	delete(u.lanes, o.ref)
	u.gauge.Set(float64(len(u.lanes)))
}

// place puts an entry into the first tick that begins at or after due.
func (u *unsettled) place(o *owed, due time.Time) {
	t := int64((due.Sub(u.start) + u.tick - 1) / u.tick)
	o.linkTo(u.bucket(min(max(t, u.at+1), u.at+wheelTicks-1)))
}

func (u *unsettled) bucket(tick int64) *owed { return &u.wheel[tick%wheelTicks] }
