package saver

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"longlink/pkg/api"
	"longlink/pkg/code"
	"longlink/pkg/config"
	"longlink/pkg/rpc"
	"longlink/pkg/testenv"
	"longlink/pkg/trace"
	"longlink/saver/ledger"
)

// take recalls a push; it answers as the door does.
func (r *running) take(product, id string) (string, code.Code) {
	r.t.Helper()
	rep, err := (&door{s: r.Saver}).Recall(r.t.Context(), &api.RecallRequest{Product: product, Id: id})
	if e := rpc.FromStatus(err); e != nil {
		return e.Message, e.Code
	}
	return fmt.Sprintf("%d of %d", rep.Recalled, rep.Targets), code.OK
}

// takes wants a recall to come to this.
func (r *running) takes(id, want string) {
	r.t.Helper()
	if got, c := r.take("shop", id); c != code.OK || got != want {
		r.t.Fatalf("recall of %s: %s %v, want %s", id, got, c, want)
	}
}

// What is taken back leaves its lanes, wherever it is in them, and stays away
// when Redis is lost. A repetition repeats the answer.
func TestRecall(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		s := w.start()
		for _, d := range []string{"d", "e", "f"} {
			s.mustPush(push{device: d, text: "a"})
			s.mustPush(push{device: d, text: "x", id: "x"})
			s.mustPush(push{device: d, text: "b"})
		}
		f := s.load("f", 0, false)
		s.ack("f", f.Messages[1].Seq) // consumed, and the ledger does not know yet
		s.mustPush(push{device: "d", product: "mail", text: "x", id: "x"})

		for range 2 {
			s.takes("x", "2 of 3")
			s.holds("d", "a b")
			s.holds("e", "a b")
			s.holds("f", "b")
		}
		if p := s.load("d", 0, false); p.Messages[1].Prev != p.Messages[0].Seq {
			t.Errorf("prev of b is %d, a is %d", p.Messages[1].Prev, p.Messages[0].Seq)
		}
		// What comes later changes no answer.
		s.ack("d", s.load("d", 0, false).Messages[1].Seq)
		s.takes("x", "2 of 3")
		for name, c := range map[string]struct {
			product, id string
			want        code.Code
		}{
			"nobody's id":     {"shop", "y", code.NotFound},
			"another product": {"other", "x", code.NotFound},
			"bad id":          {"shop", "x y", code.InvalidArgument},
			"bad product":     {"a/b", "x", code.InvalidArgument},
		} {
			if m, got := s.take(c.product, c.id); got != c.want {
				t.Errorf("%s: %v %s, want %v", name, got, m, c.want)
			}
		}
		if got, c := s.take("", "x"); got != "3 of 4" {
			t.Errorf("of any product: %s %v", got, c)
		}
		for _, keep := range []bool{true, false} {
			w.redis.restart(keep)
			s.holds("d", "")
			s.holds("e", "a b")
			s.holds("f", "b")
		}
		if n := counted(t, s, "longlink_saver_drops_total", code.DropRecalled.String()); n != 3 {
			t.Errorf("%v drops are counted, want 3", n)
		}
		if n := counted(t, s, "longlink_saver_recalls_total", "OK"); n != 4 {
			t.Errorf("%v recalls are counted, want 4", n)
		}
	})
}

// counted is a counter of a saver, by its only label.
func counted(t *testing.T, s *running, name, label string) float64 {
	t.Helper()
	all, err := s.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && m.GetLabel()[0].GetValue() == label {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}

// The sums in a lane are right after recalls in its middle.
func TestCapAfterRecall(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		s := w.start(func(c *Config) { c.Lane.MaxBytes = 5000 })
		for i := range 20 {
			s.mustPush(push{device: "d", text: strings.Repeat("a", 1000), id: fmt.Sprint("x", i)})
			s.mustPush(push{device: "d", text: strings.Repeat("b", 1000), id: fmt.Sprint("y", i), collapse: "b"})
			s.takes(fmt.Sprint("x", i), "1 of 1")
		}
		for _, c := range "cde" {
			s.mustPush(push{device: "d", text: strings.Repeat(string(c), 1000)})
		}
		if _, c := s.push(push{device: "d", text: strings.Repeat("f", 1000)}); c != code.InboxFull {
			t.Fatalf("got %v, want INBOX_FULL", c)
		}
	})
}

// A repetition of the push neither brings it back nor is told of trouble.
func TestRecallStaysThroughDedup(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		s := w.start()
		s.mustPush(push{device: "d", text: "a"})
		first := s.mustPush(push{device: "d", text: "x", dedup: "k", id: "x"})
		s.takes("x", "1 of 1")
		for try := range 3 {
			if r := s.mustPush(push{device: "d", text: "x", dedup: "k"}); !r.Duplicate || r.Seq != first.Seq || r.Id != "x" {
				t.Fatalf("repeat: %+v", r)
			}
			s.holds("d", "a")
			s.takes("x", "1 of 1")
			w.redis.restart(try == 0)
			s.holds("d", "a")
		}
	})
}

// Of the rows with one collapse key only the highest counts, also when it was
// recalled: what it replaced does not come back. And one that was replaced is
// gone for good when it is recalled.
func TestRecallAndCollapse(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		s := w.start()
		// Its row goes away long before that of the one that it replaces.
		s.mustPush(push{device: "d", text: "1", collapse: "k", ttl: 80 * time.Hour})
		s.mustPush(push{device: "d", text: "2", collapse: "k", id: "x"})
		s.mustPush(push{device: "e", text: "1", collapse: "k", id: "y"})
		s.mustPush(push{device: "e", text: "2", collapse: "k"})
		s.takes("x", "1 of 1")
		s.takes("y", "1 of 1")
		for _, keep := range []bool{true, false} {
			s.holds("d", "")
			s.holds("e", "2")
			w.redis.restart(keep)
		}
		s.holds("d", "")
		s.holds("e", "2")
		if rows, err := s.ledger.ByID(t.Context(), s.load("e", 0, false).Messages[0].Message.Id, "", 2); err != nil || len(rows) != 1 || rows[0].State != ledger.Live {
			t.Errorf("the other's row: %+v %v", rows, err)
		}
		s.mustPush(push{device: "d", text: "3", collapse: "k", dedup: "3"})
		s.holds("d", "3")
	})
}

// The push is not in the ledger yet: there is nothing to recall, and what its
// caller is told holds. Between commit and answer it is taken back.
func TestRecallDuringAppend(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		s := w.start()
		s.mustPush(push{device: "d", text: "-"})
		var early, late string
		var c code.Code
		s.seams.afterScript = onceOnly(func() { early, c = s.take("shop", "x") })
		s.mustPush(push{device: "d", text: "x", id: "x"})
		s.seams.afterCommit = onceOnly(func() { late, _ = s.take("shop", "y") })
		s.mustPush(push{device: "d", text: "y", id: "y"})
		if c != code.NotFound || late != "1 of 1" {
			t.Errorf("before the commit: %s %v; after it: %s", early, c, late)
		}
		s.holds("d", "- x")
		w.redis.restart(false)
		s.holds("d", "- x")
	})
}

// A rebuild has read the row as waiting when it is recalled, and inserts it
// afterwards.
func TestRecallDuringRebuild(t *testing.T) {
	for name, play := range map[string]func(t *testing.T, s, other *running, done chan string, marked chan struct{}){
		"of the same saver": func(t *testing.T, s, _ *running, done chan string, marked chan struct{}) {
			s.seams.afterMark = func() { close(marked) }
			go func() { got, _ := s.take("shop", "x"); done <- got }()
			<-marked
		},
		"of another saver": func(t *testing.T, _, other *running, done chan string, _ chan struct{}) {
			got, _ := other.take("shop", "x")
			done <- got
		},
	} {
		t.Run(name, func(t *testing.T) {
			worlds(t, func(t *testing.T, w *world) {
				other := w.start()
				other.mustPush(push{device: "d", text: "a"})
				other.mustPush(push{device: "d", text: "x", id: "x"})
				w.redis.restart(false)
				var s *running
				started, done, marked := make(chan struct{}), make(chan string, 1), make(chan struct{})
				w.seams.beforeInsert = onceOnly(func() {
					<-started
					play(t, s, other, done, marked)
				})
				s = w.start()
				close(started)
				s.load("d", 0, false) // waits for the rebuild
				comes(t, done, "1 of 1")
				s.holds("d", "a")
				w.redis.restart(false)
				other.holds("d", "a")
			})
		})
	}
}

// comes waits for the answer of a recall that a seam makes.
func comes(t *testing.T, got chan string, want string) {
	t.Helper()
	select {
	case n := <-got:
		if n != want {
			t.Errorf("recall: %s, want %s", n, want)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the recall does not end, or has not begun")
	}
}

// onceOnly makes a seam that acts once.
func onceOnly(f func()) func() {
	turn := make(chan struct{}, 1)
	turn <- struct{}{}
	return func() {
		select {
		case <-turn:
			f()
		default:
		}
	}
}

// Redis takes another replication id under a saver's connection, and another
// saver rebuilds for that one, from what it read before the recall.
func TestRecallUnderAnOldRunID(t *testing.T) {
	w := realWorld(t)
	replica := testenv.Redis(t).Addr
	s := w.start(func(c *Config) { c.Rebuild.Pause = config.Duration(10 * time.Second) }) // does not notice by itself
	s.mustPush(push{device: "d", text: "a"})
	s.mustPush(push{device: "d", text: "x", id: "x"})
	s.mustPush(push{device: "d", text: "y", id: "y"})
	s.takes("y", "1 of 1") // the connection for recalls is from before
	follower(t)(replica, w.cfg.Redis.Addr)
	got := make(chan string, 1)
	w.seams.beforeInsert = onceOnly(func() {
		n, _ := s.take("shop", "x")
		got <- n
	})
	other := w.start()
	other.load("d", 0, false) // waits for a rebuild
	comes(t, got, "1 of 1")
	other.holds("d", "a")
	s.holds("d", "a")
}

// Redis goes away between the mark and the removal: the caller repeats.
func TestRecallWithoutRedis(t *testing.T) {
	w := realWorld(t)
	s := w.start()
	s.mustPush(push{device: "d", text: "a"})
	s.mustPush(push{device: "d", text: "x", id: "x"})
	srv := w.redis.(realRedis).srv
	s.seams.afterMark = onceOnly(func() {
		if err := srv.Kill(); err != nil {
			t.Error(err)
		}
	})
	for range 2 {
		if m, c := s.take("shop", "x"); c != code.Unavailable || !strings.Contains(m, "repeat the recall") {
			t.Fatalf("recall without Redis: %v %s", c, m)
		}
	}
	if err := srv.Start(); err != nil { // with all that it held
		t.Fatal(err)
	}
	eventually(t, "the recall succeeds", func() bool { got, _ := s.take("shop", "x"); return got == "1 of 1" })
	s.holds("d", "a")
	if n := counted(t, s, "longlink_saver_recalls_total", code.Unavailable.String()); n < 2 {
		t.Errorf("%v failures are counted", n)
	}
}

// The sweep tells the room of a seq; what the room loads then has no recalled
// message, and tells that nothing is missing up to it.
func TestSweepOfARecalled(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		a := withCluster(t, w)
		a.online("d", "room-1")
		s := w.start()
		r := s.mustPush(push{device: "d", text: "x", id: "x"})
		s.takes("x", "1 of 1")
		s.settles()
		for _, it := range a.rooms["room-1"].deliveries() {
			if len(it.Message.Message.Payload) > 0 || it.Message.Prev != it.Message.Seq {
				t.Errorf("delivered %v", it)
			}
		}
		if p := s.load("d", 0, false); len(p.Messages) != 0 || p.More || p.AsOf < r.Seq {
			t.Errorf("page %v", p)
		}
	})
}

// An id that many pushes share is refused as a whole.
func TestRecallOfTooMany(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		s := w.start()
		var rows []ledger.Row
		for i := range maxRows + 1 {
			d := fmt.Sprintf("d%04d", i)
			rows = append(rows, ledger.Row{Slot: laneOf(d).Slot, Seq: uint64(1000 + i), Product: "shop", Device: d, ID: "x",
				ExpiresMS: time.Now().Add(time.Hour).UnixMilli(), Body: bodyOf(t, "x")})
		}
		if err := s.ledger.Commit(t.Context(), []ledger.Batch{{Fresh: rows[:maxRows]}}); err != nil {
			t.Fatal(err)
		}
		s.takes("x", "1000 of 1000")
		if err := s.ledger.Commit(t.Context(), []ledger.Batch{{Fresh: rows[maxRows:]}}); err != nil {
			t.Fatal(err)
		}
		if m, c := s.take("shop", "x"); c != code.FailedPrecondition || !strings.Contains(m, "dedup_id") {
			t.Errorf("recall: %v %s", c, m)
		}
		rep, err := (&door{s: s.Saver}).Find(t.Context(), &api.FindRequest{Id: "x"})
		if err != nil || len(rep.Messages) != maxRows {
			t.Errorf("%d found, %v", len(rep.GetMessages()), err)
		}
	})
}

// No more rare calls than there are turns; the others go on.
func TestRareCallsAreBounded(t *testing.T) {
	s := embeddedWorld(t).start()
	s.mustPush(push{device: "d", text: "a", id: "x"})
	for range maxTurns {
		s.turns <- struct{}{}
	}
	if _, c := s.take("shop", "x"); c != code.RateLimited {
		t.Errorf("recall: %v", c)
	}
	if _, err := (&door{s: s.Saver}).ListAlias(t.Context(), &api.ListAliasRequest{Product: "shop", Alias: "a"}); rpc.FromStatus(err).Code != code.RateLimited {
		t.Errorf("list: %v", err)
	}
	<-s.turns
	s.takes("x", "1 of 1")
	s.takes("x", "1 of 1")
}

// steps are those that a saver remembers of a push, in a few words.
func (r *running) steps(id string) string {
	var all []string
	for _, e := range r.deps.Trace.Find(id, "", nil, 100) {
		all = append(all, strings.TrimSpace(fmt.Sprint(e.Stage, " ", e.Code, " ", e.Detail)))
		if e.ID != id || e.Device != "d" || e.Product != "shop" || e.At.IsZero() || e.Seq == 0 && e.Code == code.OK {
			r.t.Errorf("%+v", e)
		}
	}
	return strings.Join(all, ", ")
}

func TestTrace(t *testing.T) {
	w := embeddedWorld(t)
	a := withCluster(t, w)
	a.online("d", "room-1")
	a.rooms["room-1"].states = []api.DeliverResult_State{api.DeliverResult_STATE_GONE}
	s := w.start(func(c *Config) { c.Lane.MaxMessages = 1 })
	s.mustPush(push{device: "d", text: "x", id: "x", dedup: "k"})
	s.mustPush(push{device: "d", text: "x", id: "other", dedup: "k"})
	if _, c := s.push(push{device: "d", text: "y", id: "y"}); c != code.InboxFull {
		t.Fatal(c)
	}
	s.settles()
	s.load("d", 0, true)
	s.takes("x", "1 of 1")
	s.takes("x", "1 of 1")
	want := "stored OK, stored OK repeated, handed GONE sweep: the room does not have the session any more, " +
		"handed OK sweep: the room knows of it, loaded OK, recalled OK"
	if got := s.steps("x"); got != want {
		t.Errorf("x: %s\nwant %s", got, want)
	}
	if got := s.steps("y"); got != "stored INBOX_FULL" {
		t.Errorf("y: %s", got)
	}
	if got := s.deps.Trace.Find("x", "", nil, 1); len(got) != 1 || got[0].Stage != trace.Stored {
		t.Errorf("first: %+v", got)
	}
}
