package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
)

// rival is a transaction of somebody else, with so many rows changed that in a
// deadlock the ledger's own is the victim.
func rival(t *testing.T, l *Ledger) *sql.Tx {
	t.Helper()
	tx, err := l.write.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tx.Rollback(); err != nil && !errors.Is(err, sql.ErrTxDone) {
			t.Error(err)
		}
	})
	var args []any
	for i := range 2000 {
		args = append(args, "p", "a", fmt.Sprint(i), 0)
	}
	do(t, tx, "INSERT INTO aliases (product, alias, device, created_ms) VALUES "+tuples(2000, 4), args...)
	return tx
}

func do(t *testing.T, tx *sql.Tx, query string, args ...any) {
	t.Helper()
	if _, err := tx.ExecContext(t.Context(), query, args...); err != nil {
		t.Fatal(err)
	}
}

// waits returns when some transaction waits for a lock. InnoDB makes the table
// anew only when nobody has read it for 100 ms.
func waits(t *testing.T, l *Ledger) {
	t.Helper()
	end := time.NewTimer(10 * time.Second)
	defer end.Stop()
	poll := time.NewTicker(150 * time.Millisecond)
	defer poll.Stop()
	for n := 0; n == 0; {
		select {
		case <-poll.C:
		case <-end.C:
			t.Fatal("nobody waits for a lock")
		}
		if err := l.read.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'").Scan(&n); err != nil {
			t.Fatal(err)
		}
	}
}

func mariadb(t *testing.T) *Ledger {
	return ready(t, Options{DSN: stores.MariaDB(t).NewDatabase(t), AheadDays: 3})
}

// The victim of a deadlock tries again, whether it is one statement or several,
// and its caller does not notice.
func TestDeadlockVictimTriesAgain(t *testing.T) {
	for _, lanes := range []int{2, 2 * statementRows} {
		t.Run(fmt.Sprint(lanes, " lanes"), func(t *testing.T) {
			l := mariadb(t)
			var cursors []Cursor
			for i := range lanes {
				cursors = append(cursors, Cursor{uint16(i), "p", "d", 1})
			}
			if err := l.SaveCursors(t.Context(), cursors); err != nil {
				t.Fatal(err)
			}
			for i := range cursors {
				cursors[i].Acked = 5
			}
			const raise = "UPDATE cursors SET acked = 9 WHERE slot = ? AND product = 'p' AND device = 'd'"
			tx := rival(t, l)
			do(t, tx, raise, lanes-1)
			saved := make(chan error, 1)
			go func() { saved <- l.SaveCursors(context.WithoutCancel(t.Context()), cursors) }()
			waits(t, l)
			do(t, tx, raise, 0) // closes the circle
			if err := tx.Commit(); err != nil {
				t.Fatal(err)
			}
			if err := <-saved; err != nil {
				t.Fatalf("the victim was given up: %v", err)
			}
			if n := l.Deadlocks(); n != 1 {
				t.Errorf("%d deadlocks were counted", n)
			}
			for slot, want := range map[uint16]uint64{0: 9, 1: 5} {
				if lanes == 2 && slot == 1 {
					want = 9
				}
				if c, err := l.Cursor(t.Context(), slot, "p", "d"); err != nil || c != want {
					t.Errorf("slot %d: cursor %d, want %d (%v)", slot, c, want, err)
				}
			}
		})
	}
}

func TestUpstreamDeadlockVictimTriesAgain(t *testing.T) {
	l := mariadb(t)
	mustUp(t, l, up(1, "a", 1), up(2, "b", 1))
	const lock = "UPDATE upstream_positions SET owner = 'rival' WHERE part = ? AND consumer = 'log'"
	tx := rival(t, l)
	do(t, tx, lock, 2)
	a, b := up(1, "a", 2), up(2, "b", 2)
	stored := make(chan error, 1)
	go func() {
		stored <- l.AppendUpstream(context.WithoutCancel(t.Context()), []*Up{a, up(1, "a", 1), b}, time.Now())
	}()
	waits(t, l)
	do(t, tx, lock, 1)
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := <-stored; err != nil || a.Duplicate || b.Duplicate {
		t.Fatalf("%v; %+v %+v", err, a, b)
	}
	if n := l.Deadlocks(); n != 1 {
		t.Errorf("%d deadlocks were counted", n)
	}
	for part, want := range map[int]uint64{1: a.Seq, 2: b.Seq} {
		if all := follow(t, l, Page{Part: part}); len(all) != 2 || all[1].Seq != want {
			t.Errorf("part %d: %+v", part, all)
		}
	}
}

// One who stores in a partition keeps nobody waiting in another, nor him who
// notes how far he has read.
func TestUpstreamLocksOnlyItsPartitions(t *testing.T) {
	l := mariadb(t)
	for part := range uint16(UpParts) {
		if part%2 == 1 { // some rows are missing
			mustUp(t, l, up(part, "d", uint64(part)))
		}
	}
	tx, err := l.write.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := tx.Rollback(); err != nil {
			t.Error(err)
		}
	}()
	var mine, others []uint16
	for part := range uint16(UpParts) {
		if part%4 == 1 {
			mine = append(mine, part)
		} else if part%4 == 3 {
			others = append(others, part)
		}
	}
	if _, err := l.lockHeads(t.Context(), tx, mine); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	var ups []*Up
	for _, part := range others {
		ups = append(ups, up(part, "other", 1))
	}
	if err := l.AppendUpstream(ctx, ups, time.Now()); err != nil {
		t.Error(err)
	}
	if _, err := l.write.ExecContext(ctx, "INSERT INTO upstream_positions (part, consumer, seq, epoch, owner, updated_ms) VALUES (1, 'reader', 1, 1, '', 0)"); err != nil {
		t.Error(err)
	}
}

// Only what is certainly undone is repeated, and not for ever.
func TestOnlyDeadlocksAreRepeated(t *testing.T) {
	l := open(t, Options{Path: t.TempDir() + "/ledger.db"})
	deadlock := fmt.Errorf("commit: %w", &mysql.MySQLError{Number: 1213, Message: "Deadlock found"})
	for _, c := range []struct {
		err   error
		tries int
	}{
		{deadlock, deadlockTries},
		{&mysql.MySQLError{Number: 1205, Message: "Lock wait timeout exceeded"}, 1},
		{mysql.ErrInvalidConn, 1},
		{context.DeadlineExceeded, 1},
		{nil, 1},
	} {
		tries := 0
		err := l.again(t.Context(), func() error { tries++; return c.err })
		if !errors.Is(err, c.err) || tries != c.tries {
			t.Errorf("%v: %d tries, %v", c.err, tries, err)
		}
	}
	if n := l.Deadlocks(); n != deadlockTries {
		t.Errorf("%d deadlocks were counted", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	tries := 0
	if err := l.again(ctx, func() error { tries++; cancel(); return deadlock }); err == nil || tries != 1 {
		t.Errorf("%d tries after the caller had left, %v", tries, err)
	}
}
