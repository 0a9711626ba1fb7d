package ledger

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"longlink/pkg/testenv"
)

var stores testenv.Shared

func TestMain(m *testing.M) { goleak.VerifyTestMain(stores.Around(m)) }

func both(t *testing.T, body func(t *testing.T, o Options)) {
	t.Run("sqlite", func(t *testing.T) { body(t, Options{Path: filepath.Join(t.TempDir(), "ledger file?#%.db")}) })
	t.Run("mysql", func(t *testing.T) { body(t, Options{DSN: stores.MariaDB(t).NewDatabase(t), AheadDays: 3}) })
}

func open(t *testing.T, o Options) *Ledger {
	t.Helper()
	l, err := Open(o)
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

func ready(t *testing.T, o Options) *Ledger {
	t.Helper()
	l := open(t, o)
	if err := errors.Join(l.Migrate(t.Context()), l.Prepare(t.Context(), time.Now())); err != nil {
		t.Fatal(err)
	}
	return l
}

func row(seq uint64, ttl time.Duration) Row {
	return Row{Slot: 7, Seq: seq, Product: "p", Device: "d", ID: fmt.Sprint("m", seq), AcceptedMS: time.Now().UnixMilli(),
		ExpiresMS: time.Now().Add(ttl).UnixMilli(), Body: []byte{0, 1, '\'', '"', '\\', 0xff}}
}

func seqs(t *testing.T, l *Ledger) (all []uint64) {
	t.Helper()
	if err := l.Rows(t.Context(), []Want{{Slot: 7}}, time.Now(), time.Hour, func(m Lost) error {
		all = append(all, m.Seq)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestMigrateTogetherAndNewer(t *testing.T) {
	both(t, func(t *testing.T, o Options) {
		var wg sync.WaitGroup
		for range 3 {
			l := open(t, o)
			wg.Go(func() {
				if err := errors.Join(l.Migrate(t.Context()), l.Prepare(t.Context(), time.Now()), l.Clean(t.Context(), time.Now())); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		l := open(t, o)
		if _, err := l.write.ExecContext(t.Context(), "INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, 1)"); err != nil {
			t.Fatal(err)
		}
		var newer *SchemaError
		if err := l.Migrate(t.Context()); !errors.As(err, &newer) || newer.Have != 999 {
			t.Fatalf("Migrate = %v, want the newer schema refused", err)
		}
	})
}

func TestCommit(t *testing.T) {
	both(t, func(t *testing.T, o Options) {
		l := ready(t, o)
		ctx := t.Context()
		var fresh []Row
		for i := range 450 { // several statements
			r := row(uint64(1000+i), time.Hour)
			r.Body = append(r.Body, []byte(strings.Repeat("x", 9000))...)
			fresh = append(fresh, r)
		}
		if err := l.Commit(ctx, []Batch{{Fresh: fresh[:200]}, {Fresh: fresh[200:]}}); err != nil {
			t.Fatal(err)
		}
		n := 0
		if err := l.Rows(ctx, []Want{{Slot: 7}, {Slot: 8}}, time.Now(), time.Hour, func(m Lost) error {
			if m.Seq != fresh[n].Seq || string(m.Body) != string(fresh[n].Body) || m.ID != fresh[n].ID || m.ExpiresMS != fresh[n].ExpiresMS {
				return fmt.Errorf("row %d came back as %+v", n, m.Row)
			}
			n++
			return nil
		}); err != nil || n != 450 {
			t.Fatalf("%d rows, %v", n, err)
		}
		// A fresh seq that is there already undoes the whole commit.
		if err := l.Commit(ctx, []Batch{{Fresh: []Row{row(5000, time.Hour)}}, {Fresh: []Row{fresh[3]}}}); err == nil {
			t.Fatal("a repeated seq was taken")
		}
		if err := l.Commit(ctx, []Batch{{Fresh: []Row{row(5000, time.Hour), fresh[3]}, Again: []Row{row(6000, time.Hour)}}}); err == nil {
			t.Fatal("a repeated seq was taken")
		}
		if all := seqs(t, l); len(all) != 450 {
			t.Fatalf("%d rows after failed commits", len(all))
		}
		// Again keeps what is there, brings what is not, and revives void rows.
		if err := l.Void(ctx, []Key{fresh[0].Key()}, nil); err != nil {
			t.Fatal(err)
		}
		if all := seqs(t, l); len(all) != 449 {
			t.Fatalf("%d rows, the void one among them", len(all))
		}
		if err := l.Commit(ctx, []Batch{{Again: []Row{fresh[0], fresh[1], row(7000, time.Hour)}}}); err != nil {
			t.Fatal(err)
		}
		if all := seqs(t, l); len(all) != 451 || all[0] != 1000 {
			t.Fatalf("%d rows from %d", len(all), all[0])
		}
		clocks, err := l.Clocks(ctx, []uint16{7, 8})
		if err != nil || clocks[0] != 7000 || clocks[1] != 0 {
			t.Fatalf("clocks %v %v", clocks, err)
		}
		// A row marked as replaced lives again when its successor is void.
		if err := l.Commit(ctx, []Batch{{Fresh: []Row{row(8000, time.Hour)}, Replaced: []Key{fresh[1].Key()}}}); err != nil {
			t.Fatal(err)
		}
		if s := state(t, l, 1001); s != Replaced {
			t.Fatalf("state %d", s)
		}
		if err := l.Void(ctx, []Key{row(8000, time.Hour).Key()}, []Key{fresh[1].Key()}); err != nil {
			t.Fatal(err)
		}
		if state(t, l, 1001) != Live || state(t, l, 8000) != Void {
			t.Fatal("the replaced row does not live again")
		}
	})
}

func state(t *testing.T, l *Ledger, seq int64) (s State) {
	t.Helper()
	if err := l.read.QueryRowContext(t.Context(), "SELECT state FROM messages WHERE slot = 7 AND seq = ?", seq).Scan(&s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestCursors(t *testing.T) {
	both(t, func(t *testing.T, o Options) {
		l := ready(t, o)
		ctx := t.Context()
		for _, acked := range []uint64{5, 9, 3} {
			if err := l.SaveCursors(ctx, []Cursor{{7, "p", "d", acked}, {7, "p", "D", acked + 100}}); err != nil {
				t.Fatal(err)
			}
		}
		for d, want := range map[string]uint64{"d": 9, "D": 109, "x": 0} {
			if c, err := l.Cursor(ctx, 7, "p", d); err != nil || c != want {
				t.Errorf("cursor of %s is %d (%v), want %d: it only grows, and names have their case", d, c, err, want)
			}
		}
		moved := func(since time.Time) (all []Cursor) {
			if err := l.CursorsSince(ctx, 7, since.UnixMilli(), func(c Cursor) error { all = append(all, c); return nil }); err != nil {
				t.Fatal(err)
			}
			return all
		}
		if all := moved(time.Now().Add(-time.Minute)); len(all) != 2 || all[0].Acked+all[1].Acked != 118 {
			t.Fatalf("moved within a minute: %v", all)
		}
		if all := moved(time.Now().Add(time.Minute)); len(all) != 0 {
			t.Fatalf("moved in the future: %v", all)
		}
		if c, err := l.Clocks(ctx, []uint16{7}); err != nil || c[0] != 109 {
			t.Fatalf("clock %v %v", c, err)
		}
		if err := l.Clean(ctx, time.Now().Add(33*24*time.Hour)); err != nil {
			t.Fatal(err)
		}
		if c, err := l.Cursor(ctx, 7, "p", "d"); err != nil || c != 0 {
			t.Fatalf("an old cursor is still %d (%v)", c, err)
		}
	})
}

func TestDaysGoAway(t *testing.T) {
	both(t, func(t *testing.T, o Options) {
		l := ready(t, o)
		ctx := t.Context()
		now := time.Now()
		if err := l.Commit(ctx, []Batch{{Fresh: []Row{row(1, -24*time.Hour), row(2, time.Hour), row(3, 48*time.Hour)}}}); err != nil {
			t.Fatal(err)
		}
		count := func() (n int) {
			if err := l.read.QueryRowContext(ctx, "SELECT COUNT(*) FROM messages").Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n
		}
		for days, want := range []int{3, 2, 1, 1, 0, 0, 0} {
			at := now.Add(time.Duration(days) * 24 * time.Hour)
			if err := errors.Join(l.Prepare(ctx, at), l.Clean(ctx, at)); err != nil {
				t.Fatal(err)
			}
			// A row of tomorrow's first hour may be a day later.
			if n := count(); n != want && n != want+1 {
				t.Errorf("after %d days: %d rows, want %d", days, n, want)
			}
		}
		if n := count(); n != 0 {
			t.Errorf("%d rows are left", n)
		}
		if !l.partitioned {
			return
		}
		names, bounds, err := l.partitions(ctx, "messages")
		if err != nil || len(names) > 8 {
			t.Fatalf("partitions %v %v %v", names, bounds, err)
		}
		// After a long rest the days between have one partition.
		if err := l.Prepare(ctx, now.Add(60*24*time.Hour)); err != nil {
			t.Fatal(err)
		}
		if names, _, err = l.partitions(ctx, "messages"); err != nil || len(names) != 3+2 {
			t.Fatalf("partitions %v %v", names, err)
		}
	})
}
