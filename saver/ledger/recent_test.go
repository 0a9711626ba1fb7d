package ledger

import (
	"testing"
	"time"

	"longlink/pkg/slot"
)

func TestNewestAndWaiting(t *testing.T) {
	both(t, func(t *testing.T, o Options) {
		l := ready(t, o)
		ctx := t.Context()
		rows := []Row{row(1000, time.Hour), row(2000, 2*time.Hour), row(3000, time.Hour)}
		acked, part, old, short, void, other := row(2100, time.Hour), row(2200, time.Hour), row(500, time.Hour), row(2300, -time.Second), row(2400, time.Hour), row(2500, time.Hour)
		acked.Device, part.Device, old.Device, short.Device, void.Device = "acked", "part", "old", "short", "void"
		other.Slot = 4095
		rows = append(rows, acked, part, old, short, void, other)
		if err := l.Commit(ctx, []Batch{{Fresh: rows}}); err != nil {
			t.Fatal(err)
		}
		if err := l.Void(ctx, []Key{void.Key()}, nil); err != nil {
			t.Fatal(err)
		}
		if err := l.SaveCursors(ctx, []Cursor{{7, "p", "acked", 2100}, {7, "p", "part", 2199}, {7, "q", "d", 9000}}); err != nil {
			t.Fatal(err)
		}
		var all []uint16
		for s := range uint16(128) {
			all = append(all, s)
		}
		if seq, err := l.Newest(ctx, all); err != nil || seq != 3000 {
			t.Errorf("newest %d, %v", seq, err)
		}
		if seq, err := l.Newest(ctx, []uint16{4095, 8}); err != nil || seq != 2500 {
			t.Errorf("newest of another slot %d, %v", seq, err)
		}
		got := map[string]Lane{}
		if err := l.Waiting(ctx, all, 999, time.Now(), func(x Lane) error { got[x.Device] = x; return nil }); err != nil {
			t.Fatal(err)
		}
		if len(got) != 2 || got["d"].Seq != 3000 || got["d"].ExpiresMS != rows[1].ExpiresMS || got["part"].Seq != 2200 || got["d"].Product != "p" || got["d"].Slot != 7 {
			t.Errorf("waiting: %+v", got)
		}
		// All slots, as at a start: quick, however the planner looks at it.
		begin := time.Now()
		for first := 0; first < slot.Count; first += 128 {
			for i := range all {
				all[i] = uint16(first + i)
			}
			if _, err := l.Newest(ctx, all); err != nil {
				t.Fatal(err)
			}
			if err := l.Waiting(ctx, all, 999, time.Now(), func(Lane) error { return nil }); err != nil {
				t.Fatal(err)
			}
		}
		t.Logf("all slots in %s", time.Since(begin))
	})
}
