package saver

import (
	"errors"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"longlink/pkg/api"
	"longlink/pkg/code"
	"longlink/pkg/config"
	"longlink/pkg/testenv"
)

// What is in work when the stop begins is stored, what is queued is refused.
func TestUpstreamStop(t *testing.T) {
	w := embeddedWorld(t)
	h := hold(w.start())
	first := h.send(upItem("d", 1))
	<-h.entered
	queued := h.send(upItem("d", 2))
	eventually(t, "it is queued", func() bool { return h.upstream.queue.Len() == 1 })
	stopped := make(chan struct{})
	go func() { defer close(stopped); h.stop() }()
	eventually(t, "the stop has begun", h.stopping)
	h.open()
	<-stopped
	if r := (<-first)[0]; codeOf(r) != code.OK {
		t.Errorf("in work: %v", r)
	}
	// The worker may have taken it before it saw the stop.
	if r := (<-queued)[0]; codeOf(r) != code.Shutdown && codeOf(r) != code.OK {
		t.Errorf("queued: %v", r)
	}
	if r := h.up(upItem("d", 3))[0]; codeOf(r) != code.Shutdown {
		t.Errorf("after the end: %v", r)
	}
}

// A panic costs the batch that it hit, and nobody else.
func TestUpstreamPanic(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		s := w.start()
		var n atomic.Int64
		s.upstream.before = func() error {
			if n.Add(1) == 1 {
				panic("in the middle")
			}
			return nil
		}
		if r := s.up(upItem("d", 1))[0]; codeOf(r) != code.Internal || codeOf(r).Action() == code.Never {
			t.Errorf("got %v", r)
		}
		if r := s.mustUp(upItem("d", 1))[0]; r.Duplicate {
			t.Errorf("got %v", r)
		}
	})
}

// A commit that fails: UNAVAILABLE, and the item may be sent again. One that was
// done although its answer was lost is a duplicate then.
func TestUpstreamUnknownOutcome(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		s, other := w.start(), w.start()
		var done *api.UpResult
		s.upstream.before = func() error {
			if done == nil {
				done = other.mustUp(upItem("d", 1))[0]
				return errors.New("the answer of the commit was lost")
			}
			return nil
		}
		if r := s.up(upItem("d", 1), upItem("d", 2)); codeOf(r[0]) != code.Unavailable || codeOf(r[1]) != code.Unavailable {
			t.Fatalf("got %v", r)
		}
		r := s.mustUp(upItem("d", 1), upItem("d", 2))
		if !r[0].Duplicate || r[0].Seq != done.Seq || r[1].Duplicate {
			t.Errorf("got %v, want %v first", r, done)
		}
	})
}

// While the ledger is taken to be away nothing is tried.
func TestUpstreamLedgerTakenToBeAway(t *testing.T) {
	s := embeddedWorld(t).start()
	s.upstream.before = func() error { t.Error("a commit was tried"); return nil }
	s.commits.away.Store(time.Now().Add(time.Minute).UnixNano())
	if r := s.up(upItem("d", 1))[0]; codeOf(r) != code.Unavailable {
		t.Errorf("got %v", r)
	}
	s.upstream.before = nil
	s.commits.away.Store(0)
	s.mustUp(upItem("d", 1))
}

// The ledger stands still, then goes on: callers are told UNAVAILABLE within
// the ledger's timeout, or at once, and nothing is stored twice.
func TestUpstreamLedgerStandsStill(t *testing.T) {
	w := realWorld(t)
	db := testenv.MariaDB(t)
	w.cfg.Ledger.DSN = db.NewDatabase(t)
	w.cfg.Ledger.Timeout = config.Duration(300 * time.Millisecond)
	s := w.start()
	s.mustUp(upItem("d", 1))
	signal := func(sig syscall.Signal) {
		if err := syscall.Kill(db.Pid(), sig); err != nil {
			t.Fatal(err)
		}
	}
	signal(syscall.SIGSTOP)
	t.Cleanup(func() { signal(syscall.SIGCONT) })
	last := uint64(1)
	var refused *api.UpResult
	begin := time.Now()
	eventually(t, "the ledger stands still", func() bool { // a signal takes its time
		last, begin = last+1, time.Now()
		refused = s.up(upItem("d", last))[0]
		return codeOf(refused) != code.OK
	})
	if codeOf(refused) != code.Unavailable || !strings.Contains(refused.Result.Message, "again") || time.Since(begin) > 5*time.Second {
		t.Errorf("got %v after %v", refused, time.Since(begin))
	}
	if r := s.up(upItem("d", last))[0]; codeOf(r) != code.Unavailable {
		t.Errorf("the next: %v", r)
	}
	if _, err := s.reader(10).turn(t.Context()); err == nil {
		t.Error("heads were read from a ledger that stands still")
	}
	signal(syscall.SIGCONT)
	eventually(t, "it is stored", func() bool { return codeOf(s.up(upItem("d", last))[0]) == code.OK })
	s.mustUp(upItem("d", last+1))
	rows := w.log(partOf("d"))
	if len(rows) != int(last)+1 {
		t.Errorf("%d rows, want %d", len(rows), last+1)
	}
	for i, r := range rows {
		if r.upID != uint64(i+1) {
			t.Errorf("row %d is %+v", i, r)
		}
	}
}
