package saver

import (
	"testing"
	"time"

	"longlink/saver/ledger"
)

// An old copy of Redis holds messages that were acknowledged after it was
// taken, also those that were appended long before.
func TestOldCopyForgetsNoAckOfOldMessages(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		l := openLedger(t, w)
		if err := l.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := l.Prepare(t.Context(), time.Now()); err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		old := ledger.Row{Slot: laneOf("d").Slot, Seq: uint64(now.Add(-10 * time.Minute).UnixMicro()), Product: "shop", Device: "d",
			ID: "old", ExpiresMS: now.Add(time.Hour).UnixMilli(), Body: bodyOf(t, "old")}
		if err := l.Commit(t.Context(), []ledger.Batch{{Fresh: []ledger.Row{old}}}); err != nil {
			t.Fatal(err)
		}
		s := w.start()
		s.holds("d", "old")
		s.mustPush(push{device: deviceInSlot(laneOf("d").Slot), text: "another lane moves the clock"})
		s.stop()
		// The ack that the copy has missed, as the ledger knows it.
		if err := l.SaveCursors(t.Context(), []ledger.Cursor{{Slot: old.Slot, Product: "shop", Device: "d", Acked: old.Seq}}); err != nil {
			t.Fatal(err)
		}
		w.redis.restart(true)
		w.start().holds("d", "")
	})
}
