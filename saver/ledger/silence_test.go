package ledger

import (
	"context"
	"testing"
	"time"
)

// The host of a saver goes away while it holds the head of a part: another one
// gets it after Silence, and what gave up waiting for it in between waits no
// longer than that in the database.
func TestUpstreamOfAHostThatWentAway(t *testing.T) {
	o := Options{DSN: stores.MariaDB(t).NewDatabase(t), AheadDays: 3, Silence: 2 * time.Second}
	gone, l := ready(t, o), open(t, o)
	mustUp(t, l, up(3, "d", 1))
	tx, err := gone.write.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := gone.lockHeads(t.Context(), tx, []uint16{3}); err != nil {
		t.Fatal(err)
	}
	for n, end := 0, time.Now().Add(15*time.Second); ; n++ {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		err = l.AppendUpstream(ctx, []*Up{up(3, "d", 2)}, time.Now())
		cancel()
		if err == nil && n == 0 {
			t.Fatal("the head was not held")
		}
		if err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the head is held for ever: %v", err)
		}
	}
	if err := tx.Commit(); err == nil {
		t.Error("the transaction that lost its lock was committed")
	}
	if all := follow(t, l, Page{Part: 3}); len(all) != 2 {
		t.Errorf("%d rows", len(all))
	}
	for end := time.Now().Add(15 * time.Second); ; <-time.After(50 * time.Millisecond) {
		n := -1
		err := l.read.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM information_schema.processlist WHERE db = DATABASE() AND info LIKE '%FOR UPDATE%' AND id <> CONNECTION_ID()").Scan(&n)
		if err == nil && n == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d statements wait in the database (%v)", n, err)
		}
	}
}
