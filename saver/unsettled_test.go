package saver

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// table is an unsettled on a clock that the test moves.
type table struct {
	*unsettled
	t   *testing.T
	now time.Time
}

func newTable(t *testing.T, limit int) *table {
	now := time.Unix(1_800_000_000, 0)
	return &table{newUnsettled(2*time.Second, time.Hour, limit, now, prometheus.NewGauge(prometheus.GaugeOpts{Name: "g"})), t, now}
}

func (b *table) store(device string, seq uint64) {
	b.stored(laneOf(device), seq, "", b.now.Add(30*time.Minute).UnixMilli(), true, b.now)
}

// pass moves the clock on in steps of the wheel until something is due, for at
// most d; it says how long that took.
func (b *table) pass(d time.Duration) (due []question, took time.Duration) {
	for took < d && len(due) == 0 {
		b.now, took = b.now.Add(b.tick), took+b.tick
		due, _, _ = b.take(b.now, 1000)
	}
	return due, took
}

func (b *table) one(d time.Duration) question {
	b.t.Helper()
	due, took := b.pass(d)
	if len(due) != 1 {
		b.t.Fatalf("%d lanes due within %s, want 1", len(due), d)
	}
	b.t.Logf("due after %s: %s up to %d", took, due[0].ref.Device, due[0].seq)
	return due[0]
}

func (b *table) nothing(d time.Duration) {
	b.t.Helper()
	if due, took := b.pass(d); len(due) != 0 {
		b.t.Fatalf("%v due after %s", due, took)
	}
}

func (b *table) empty() {
	b.t.Helper()
	if b.len() != 0 || b.out != 0 || b.failed != 0 {
		b.t.Fatalf("%d lanes, %d out, %d failed, want none", b.len(), b.out, b.failed)
	}
	for i := range b.wheel {
		if b.wheel[i].next != &b.wheel[i] {
			b.t.Fatal("the wheel holds an entry")
		}
	}
}

func TestAckSettlesWithoutAQuestion(t *testing.T) {
	b := newTable(t, 10)
	b.store("d", 5)
	b.store("d", 6)
	b.acked(laneOf("d"), 5)
	if b.len() != 1 {
		t.Fatal("6 was settled by the ack of 5")
	}
	b.acked(laneOf("d"), 6)
	b.empty()
	b.acked(laneOf("d"), 7)
	b.nothing(time.Minute)
}

// A lane with messages all the time, each acknowledged in time, is never asked
// about; once the acks stop it is, within twice the time.
func TestBusyLane(t *testing.T) {
	b := newTable(t, 10)
	seq := uint64(1)
	for range 400 {
		seq++
		b.store("d", seq)
		if seq > 4 {
			b.acked(laneOf("d"), seq-3)
		}
		b.nothing(b.tick)
	}
	if q := b.one(2*b.after + b.tick); q.seq != seq {
		t.Errorf("asked up to %d, want %d", q.seq, seq)
	}
}

// What is answered covers what was asked: a message that came meanwhile is
// asked about in its turn.
func TestAnswerCoversWhatWasAsked(t *testing.T) {
	b := newTable(t, 10)
	b.store("d", 5)
	q := b.one(3 * time.Second)
	b.store("d", 6)
	b.settled(q)
	if q = b.one(3 * time.Second); q.seq != 6 {
		t.Fatalf("asked up to %d, want 6", q.seq)
	}
	b.settled(q)
	b.empty()
	// An ack while a question is out: the answer finds nothing left.
	b.store("d", 7)
	q = b.one(3 * time.Second)
	b.acked(laneOf("d"), 7)
	b.unanswered(q, b.now)
	b.empty()
	// An ack of the part that was asked, and no answer.
	b.store("d", 8)
	q = b.one(3 * time.Second)
	b.store("d", 9)
	b.acked(laneOf("d"), 8)
	b.unanswered(q, b.now)
	if q = b.one(3 * time.Second); q.seq != 9 {
		t.Fatalf("asked up to %d, want 9", q.seq)
	}
	b.settled(q)
	b.empty()
}

func TestBackoffAndHurry(t *testing.T) {
	b := newTable(t, 10)
	b.store("d", 5)
	q := b.one(3 * time.Second)
	for _, want := range []time.Duration{2, 4, 8, 16, 16, 16} {
		b.unanswered(q, b.now)
		due, took := b.pass(time.Minute)
		if len(due) != 1 || took < want*time.Second || took > want*time.Second+time.Second {
			t.Fatalf("asked again after %s, want %d s", took, want)
		}
		q = due[0]
	}
	b.unanswered(q, b.now)
	b.hurry(b.now)
	q = b.one(b.after + b.tick)
	b.unanswered(q, b.now)
	if due, took := b.pass(time.Minute); len(due) != 1 || took > 3*time.Second {
		t.Fatalf("%d due after %s: the back-off did not begin anew", len(due), took)
	}
}

func TestGoneIsLookedForAtOnceOnce(t *testing.T) {
	b := newTable(t, 10)
	b.store("d", 5)
	q := b.one(3 * time.Second)
	for _, limit := range []time.Duration{b.tick, 3 * time.Second, 5 * time.Second, 9 * time.Second} {
		b.moved(q, b.now)
		if limit > b.tick {
			b.nothing(limit/2 - b.tick)
		}
		q = b.one(limit)
	}
	b.settled(q)
	b.empty()
}

func TestExpiryAndAge(t *testing.T) {
	b := newTable(t, 10)
	b.stored(laneOf("short"), 5, "", b.now.Add(time.Second).UnixMilli(), true, b.now)
	b.stored(laneOf("long"), 6, "", b.now.Add(24*time.Hour).UnixMilli(), true, b.now)
	var expired, abandoned, asked int
	begin := b.now
	for b.len() > 0 && b.now.Sub(begin) < 2*time.Hour {
		b.now = b.now.Add(b.tick)
		due, e, a := b.take(b.now, 10)
		expired, abandoned, asked = expired+e, abandoned+a, asked+len(due)
		for _, q := range due {
			b.unanswered(q, b.now)
		}
	}
	if took := b.now.Sub(begin); expired != 1 || abandoned != 1 || took < time.Hour || took > time.Hour+time.Minute {
		t.Fatalf("%d expired, %d abandoned, all over after %s", expired, abandoned, took)
	}
	if asked < 200 || asked > 250 {
		t.Errorf("asked %d times in an hour, want one in about 17 s", asked)
	}
	b.empty()
}

// A message whose append was answered UNKNOWN is looked for first, and does not
// hide the one before it.
func TestUnsureMessages(t *testing.T) {
	b := newTable(t, 10)
	b.store("d", 5)
	b.stored(laneOf("d"), 6, "", b.now.Add(time.Hour).UnixMilli(), false, b.now)
	q := b.one(3 * time.Second)
	if !q.look || q.seq != 6 {
		t.Fatalf("%+v, want a look for 6", q)
	}
	b.missing(q, b.now)
	if q = b.one(b.tick); q.look || q.seq != 5 {
		t.Fatalf("%+v, want 5 without a look", q)
	}
	b.settled(q)
	b.empty()
	b.stored(laneOf("d"), 7, "", b.now.Add(time.Hour).UnixMilli(), false, b.now)
	b.missing(b.one(3*time.Second), b.now)
	b.empty()
	// A repeated push that was answered yes makes it sure.
	b.stored(laneOf("d"), 8, "", b.now.Add(time.Hour).UnixMilli(), false, b.now)
	b.store("d", 8)
	if q = b.one(3 * time.Second); q.look {
		t.Fatal("a sure message is looked for")
	}
}

func TestFullTableAndOut(t *testing.T) {
	b := newTable(t, 4)
	for i := range 4 {
		if !b.room(laneOf(fmt.Sprint(i))) {
			t.Fatalf("no room for lane %d of 4", i)
		}
		b.store(fmt.Sprint(i), 5)
	}
	if b.room(laneOf("4")) || !b.room(laneOf("3")) {
		t.Fatal("a full table takes no new lanes, and messages of the ones it has")
	}
	b.now = b.now.Add(time.Minute) // far behind: everything is due
	due, _, _ := b.take(b.now, 3)
	if more, _, _ := b.take(b.now, 3); len(due) != 3 || len(more) != 0 {
		t.Fatalf("%d, then %d, want 3 on their way at most", len(due), len(more))
	}
	b.settled(due[0])
	if more, _, _ := b.take(b.now, 3); len(more) != 1 || !b.room(laneOf("4")) {
		t.Fatalf("%d after an answer, want 1, and room", len(more))
	}
}

// Nothing is left of what was settled, however it came.
func TestTableDoesNotLeak(t *testing.T) {
	b := newTable(t, 1000000)
	for i := range 100000 {
		d := fmt.Sprint(i % 3000)
		b.store(d, uint64(i+1))
		if i%3 != 0 {
			b.acked(laneOf(d), uint64(i+1))
		}
		if i%500 == 0 {
			b.now = b.now.Add(b.tick)
			due, _, _ := b.take(b.now, 1000)
			for k, q := range due {
				switch k % 4 {
				case 0:
					b.settled(q)
				case 1:
					b.unanswered(q, b.now)
				case 2:
					b.moved(q, b.now)
				case 3:
					b.missing(q, b.now)
				}
			}
		}
	}
	for i := range 3000 {
		b.acked(laneOf(fmt.Sprint(i)), 100001)
	}
	b.empty()
}
