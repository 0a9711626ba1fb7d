package saver

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"longlink/pkg/api"
	"longlink/pkg/code"
	"longlink/pkg/slot"
	"longlink/saver/lane"
	"longlink/saver/ledger"
)

func TestDedup(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		s := w.start()
		first := s.mustPush(push{device: "d", text: "a", dedup: "x", id: "one", ttl: 2 * time.Hour})
		again := s.mustPush(push{device: "d", text: "a", dedup: "x", id: "two"})
		if !again.Duplicate || again.Seq != first.Seq || again.Id != "one" || again.ExpiresMs != first.ExpiresMs || again.Prev != first.Seq-1 {
			t.Fatalf("again %+v, first %+v", again, first)
		}
		if other := s.mustPush(push{device: "e", text: "a", dedup: "x"}); other.Duplicate {
			t.Fatal("dedup is per lane")
		}
		s.ack("d", first.Seq)
		both := s.Append([]*api.AppendItem{push{device: "f", text: "b", dedup: "y"}.item(), push{device: "f", text: "b", dedup: "y"}.item()})
		if both[0].Duplicate || !both[1].Duplicate || both[0].Seq != both[1].Seq {
			t.Fatalf("in one batch: %v", both)
		}
		// The dedup ids of the last hour come back, acknowledged or not.
		eventually(t, "cursors flushed", func() bool { return s.cursors.get(laneOf("d")) == 0 })
		w.redis.restart(false)
		if again = s.mustPush(push{device: "d", text: "a", dedup: "x"}); !again.Duplicate || again.Seq != first.Seq || again.Id != "one" {
			t.Fatalf("after the loss of Redis: %+v", again)
		}
		s.holds("d", "")
		s.holds("f", "b")
	})
}

// The saver dies (or the ledger fails) between the script and the commit: the
// retry finds the dedup key and brings the row into the ledger.
func TestDedupAfterCrashBeforeCommit(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		s := w.start()
		s.seams.commitError = func() error { return errors.New("the saver died here") }
		if _, c := s.push(push{device: "d", text: "a", dedup: "x", id: "one"}); c != code.Unknown {
			t.Fatalf("got %v, want UNKNOWN", c)
		}
		s.stop()
		s = w.start()
		r := s.mustPush(push{device: "d", text: "a", dedup: "x", id: "two"})
		if !r.Duplicate || r.Id != "one" {
			t.Fatalf("retry: %+v", r)
		}
		w.redis.restart(false)
		s.holds("d", "a")
	})
}

// Without a gen a rebuild brings exactly the live rows above the cursors.
func TestRebuildFromNothing(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		s := w.start()
		want := map[string]string{}
		for i := range 40 {
			d := fmt.Sprintf("d%d", i)
			var seqs []uint64
			for j := range i % 7 {
				seqs = append(seqs, s.mustPush(push{device: d, text: fmt.Sprint(j)}).Seq)
			}
			acked := min(i%3, len(seqs))
			if acked > 0 {
				s.ack(d, seqs[acked-1])
			}
			for j := acked; j < len(seqs); j++ {
				if want[d] != "" {
					want[d] += " "
				}
				want[d] += fmt.Sprint(j)
			}
		}
		// Not flushed acks count too: the saver is the same.
		w.redis.restart(false)
		for i := range 40 {
			d := fmt.Sprintf("d%d", i)
			s.holds(d, want[d])
		}
		s.stop() // flushes
		w.redis.restart(false)
		s = w.start()
		for i := range 40 {
			d := fmt.Sprintf("d%d", i)
			s.holds(d, want[d])
		}
		r := s.mustPush(push{device: "d6", text: "new", dedup: "n"})
		s.holds("d6", want["d6"]+" new")
		if page := s.load("d6", 0, false); page.Messages[len(page.Messages)-1].Seq != r.Seq || r.Prev != page.Tail && len(page.Messages) < 2 {
			t.Fatalf("new message %+v in %+v", r, page)
		}
	})
}

// Redis comes back with an old copy: what was appended, recalled and
// acknowledged since is made up for.
func TestRebuildFromAnOldCopy(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		s := w.start()
		sl := laneOf("d").Slot
		a := s.mustPush(push{device: "d", text: "a"})
		b := s.mustPush(push{device: "d", text: "b"})
		c := s.mustPush(push{device: "d", text: "c"})
		s.stop()
		// What the copy has missed, as the ledger knows it.
		l := openLedger(t, w)
		missed := ledger.Row{Slot: sl, Seq: c.Seq + 5, Product: "shop", Device: "d", ID: "m", AcceptedMS: 1,
			ExpiresMS: time.Now().Add(time.Hour).UnixMilli(), Body: bodyOf(t, "missed"), DedupID: "dm"}
		other := missed
		other.Device, other.Seq, other.ID, other.DedupID, other.Body = deviceInSlot(sl), c.Seq+6, "o", "", bodyOf(t, "other")
		ctx := t.Context()
		if err := l.Commit(ctx, []ledger.Batch{{Fresh: []ledger.Row{missed, other}}}); err != nil {
			t.Fatal(err)
		}
		if err := l.SaveCursors(ctx, []ledger.Cursor{{Slot: sl, Product: "shop", Device: "d", Acked: a.Seq}}); err != nil {
			t.Fatal(err)
		}
		if err := l.SetState(ctx, ledger.Recalled, []ledger.Key{{Slot: sl, Seq: b.Seq, ExpiryDay: ledger.DayOf(b.ExpiresMs)}}); err != nil {
			t.Fatal(err)
		}
		w.redis.restart(true)
		s = w.start()
		s.holds("d", "c missed")
		s.holds(other.Device, "other")
		if r := s.mustPush(push{device: "d", text: "again", dedup: "dm"}); !r.Duplicate || r.Seq != missed.Seq {
			t.Fatalf("dedup id of the missed row: %+v", r)
		}
		if r := s.mustPush(push{device: "d", text: "new"}); r.Prev != missed.Seq || r.Seq <= other.Seq {
			t.Fatalf("new %+v after %d", r, missed.Seq)
		}
	})
}

// The run changes between the script and the look after the commit: the answer
// is UNKNOWN, the row void, and a retry is a new message.
func TestRunChangesDuringAppend(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		for _, step := range []string{"before the commit", "after the commit"} {
			s := w.start()
			d := "d-" + step[:5]
			var once sync.Once
			lose := func() { once.Do(func() { w.redis.restart(false) }) }
			if step == "before the commit" {
				s.seams.afterScript = lose
			} else {
				s.seams.afterCommit = lose
			}
			if _, c := s.push(push{device: d, text: "a", dedup: "x"}); c != code.Unknown {
				t.Fatalf("%s: %v, want UNKNOWN", step, c)
			}
			s.holds(d, "")
			r := s.mustPush(push{device: d, text: "a", dedup: "x"})
			if r.Duplicate {
				t.Fatalf("%s: the retry is a duplicate of a void row: %+v", step, r)
			}
			w.redis.restart(false)
			s.holds(d, "a")
			s.stop()
		}
	})
}

// A rebuild that saw the row before it was marked void leaves a dedup key: the
// retry revives the row.
func TestRetryRevivesAVoidRow(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		s := w.start()
		r := s.mustPush(push{device: "d", text: "a", dedup: "x"})
		l := openLedger(t, w)
		key := ledger.Key{Slot: laneOf("d").Slot, Seq: r.Seq, ExpiryDay: ledger.DayOf(r.ExpiresMs)}
		if err := l.Void(t.Context(), []ledger.Key{key}, nil); err != nil {
			t.Fatal(err)
		}
		if again := s.mustPush(push{device: "d", text: "a", dedup: "x"}); !again.Duplicate {
			t.Fatalf("retry: %+v", again)
		}
		w.redis.restart(false)
		s.holds("d", "a")

		// A recalled one stays recalled.
		if err := l.SetState(t.Context(), ledger.Recalled, []ledger.Key{key}); err != nil {
			t.Fatal(err)
		}
		if again := s.mustPush(push{device: "d", text: "a", dedup: "x"}); !again.Duplicate {
			t.Fatalf("retry: %+v", again)
		}
		w.redis.restart(false)
		s.holds("d", "")
	})
}

// Around a crash one push may have two rows: the rebuild keeps the later one.
func TestRebuildKeepsOneRowPerDedupID(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		l := openLedger(t, w)
		if err := l.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := l.Prepare(t.Context(), time.Now()); err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		row := func(age time.Duration, text, dedup, ck string, ttl time.Duration) ledger.Row {
			return ledger.Row{Slot: laneOf("d").Slot, Seq: uint64(now.Add(-age).UnixMicro()), Product: "shop", Device: "d", ID: text,
				ExpiresMS: now.Add(ttl).UnixMilli(), DedupID: dedup, CollapseKey: ck, Body: bodyOf(t, text)}
		}
		if err := l.Commit(t.Context(), []ledger.Batch{{Fresh: []ledger.Row{
			row(5*time.Hour, "long ago", "x", "", time.Hour), // the same id, used again hours later
			row(30*time.Minute, "first try", "x", "", time.Hour),
			row(29*time.Minute, "second try", "x", "", time.Hour),
			row(28*time.Minute, "replaced", "", "k", time.Hour),
			row(27*time.Minute, "replaced by what has expired", "", "k2", time.Hour),
			row(26*time.Minute, "newest", "", "k", time.Hour),
			row(25*time.Minute, "expired", "", "k2", -time.Minute),
		}}}); err != nil {
			t.Fatal(err)
		}
		s := w.start()
		s.holds("d", "long ago second try newest")
		r := s.mustPush(push{device: "d", text: "third try", dedup: "x"})
		if !r.Duplicate || r.Id != "second try" {
			t.Fatalf("third try: %+v", r)
		}
	})
}

func TestTwoSaversRebuildTheSameSlots(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		a, b := w.start(), w.start()
		const devices = 60
		for i := range devices {
			for j := range 4 {
				a.mustPush(push{device: fmt.Sprintf("d%d", i), text: fmt.Sprint(j)})
			}
		}
		for range 3 {
			w.redis.restart(false)
			var wg sync.WaitGroup
			for _, s := range []*running{a, b} {
				wg.Go(func() {
					for i := range devices {
						p := s.Load([]*api.LoadItem{{Device: fmt.Sprintf("d%d", i), Product: "shop"}})[0]
						if got := texts(p); got != "0 1 2 3" {
							t.Errorf("d%d holds %q, result %v", i, got, p.Result)
						}
					}
				})
			}
			wg.Wait()
		}
		// An insert that comes late finds the slot served and leaves it alone.
		conn, err := b.store.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		ref := laneOf("d0")
		a.ack("d0", lane.MaxSeq)
		if err := conn.Insert(t.Context(), []lane.Rebuilt{{Ref: ref, Rows: []lane.Row{{Verb: lane.Insert, Seq: 5, ExpiresMS: time.Now().Add(time.Hour).UnixMilli(), Body: bodyOf(t, "late"), ID: "l"}}}}); err != nil {
			t.Fatal(err)
		}
		b.holds("d0", "")
	})
}

// While slots are rebuilt in the background all of them come to serve.
func TestBackgroundWalk(t *testing.T) {
	w := embeddedWorld(t)
	w.cfg.Rebuild.Pause = 0
	s := w.start()
	eventually(t, "every slot serves", func() bool { return s.rebuild.unready() == 0 })
	s.mustPush(push{device: "d", text: "a"})
	w.redis.restart(false)
	eventually(t, "the loss is noticed without traffic", func() bool { return s.rebuild.unready() > 0 })
	eventually(t, "every slot serves again", func() bool { return s.rebuild.unready() == 0 })
	s.holds("d", "a")
}

func openLedger(t *testing.T, w *world) *ledger.Ledger {
	t.Helper()
	o := ledger.Options{DSN: w.cfg.Ledger.DSN}
	if w.cfg.Ledger.Driver == "embedded" {
		o.Path = w.dir + "/ledger.db"
	}
	l, err := ledger.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// deviceInSlot finds another device of a slot.
func deviceInSlot(s uint16) string {
	for i := 0; ; i++ {
		if d := fmt.Sprintf("n%d", i); slot.Of(d) == s {
			return d
		}
	}
}
