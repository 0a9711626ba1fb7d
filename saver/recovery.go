package saver

import (
	"context"
	"time"

	"longlink/saver/lane"
	"longlink/saver/ledger"
)

// recovery is the way of ledger rows into the lanes of some slots.
type recovery struct {
	s    *Saver
	ctx  context.Context
	conn *lane.Conn
	now  time.Time

	wants []ledger.Want
	stale []ledger.Want // those where Redis has an old copy

	// A dedup_id's last row of the slot that is being read: an older one within
	// the hour is the same push, stored twice around a crash.
	slot  uint16
	dedup map[dedupKey]uint64

	lanes    []lane.Rebuilt
	at       map[lane.Ref]int // in lanes
	rows     int
	bytes    int
	inserted int
	sick     bool // the error was the connection's
}

func newRecovery(ctx context.Context, s *Saver, conn *lane.Conn) *recovery {
	return &recovery{s: s, ctx: ctx, conn: conn, now: time.Now(), at: map[lane.Ref]int{}, dedup: map[dedupKey]uint64{}}
}

type dedupKey struct {
	ref lane.Ref
	id  string
}

// Bounds of one insert call.
const (
	insertRows  = 256
	insertBytes = 1 << 20
)

// staleBy is how far below the clock of an old copy its rows are read again.
const staleBy = time.Minute

// dedupFor is how long a dedup_id is remembered.
const dedupFor = time.Hour

// want notes what to read of a slot: everything when Redis has no gen, else
// what came after the copy that it has.
func (w *recovery) want(slot uint16, st lane.SlotState) {
	wt := ledger.Want{Slot: slot}
	if minute := uint64(staleBy.Microseconds()); st.Gen != "" && st.Clock > minute {
		wt.Since = st.Clock - minute
		wt.ChangedMS = int64(wt.Since / 1000)
		w.stale = append(w.stale, wt)
	}
	w.wants = append(w.wants, wt)
}

// read brings all rows over.
func (w *recovery) read() error {
	w.s.cursors.flushing.RLock()
	defer w.s.cursors.flushing.RUnlock()
	if err := w.s.ledger.Rows(w.ctx, w.wants, w.now, dedupFor, w.row); err != nil {
		return err
	}
	for _, wt := range w.stale { // an old copy holds what was acknowledged since
		err := w.s.ledger.CursorsSince(w.ctx, wt.Slot, wt.ChangedMS, func(c ledger.Cursor) error {
			w.lane(lane.Ref{Product: c.Product, Device: c.Device, Slot: c.Slot}, c.Acked)
			return w.flushWhenFull()
		})
		if err != nil {
			return err
		}
		for ref, acked := range w.s.cursors.of(wt.Slot) {
			w.lane(ref, acked)
			if err := w.flushWhenFull(); err != nil {
				return err
			}
		}
	}
	return w.flush()
}

// lane finds the lane in the open call.
func (w *recovery) lane(ref lane.Ref, cursor uint64) *lane.Rebuilt {
	i, ok := w.at[ref]
	if !ok {
		i = len(w.lanes)
		w.at[ref] = i
		w.lanes = append(w.lanes, lane.Rebuilt{Ref: ref})
	}
	l := &w.lanes[i]
	l.Cursor = max(l.Cursor, cursor)
	return l
}

// row turns one ledger row, in order of seq, into what it means for its lane.
func (w *recovery) row(m ledger.Lost) error {
	ref := lane.Ref{Product: m.Product, Device: m.Device, Slot: m.Slot}
	if m.Slot != w.slot {
		w.slot = m.Slot
		clear(w.dedup)
	}
	out := lane.Row{Verb: lane.Recall, Seq: m.Seq, ExpiresMS: m.ExpiresMS, CollapseKey: m.CollapseKey, ID: m.ID}
	if age := w.now.Sub(time.UnixMicro(int64(m.Seq))); m.DedupID != "" && age < dedupFor {
		out.DedupID, out.DedupLife = m.DedupID, min(dedupFor-age, dedupFor)
	}
	// Acks that this saver has not yet brought to the ledger count too.
	cursor := max(m.Cursor, w.s.cursors.get(ref))
	acked := m.Seq <= cursor
	waits := m.State == ledger.Live && m.ExpiresMS > w.now.UnixMilli() && !acked
	gone := !acked && !waits && (m.State != ledger.Live || m.CollapseKey != "")
	switch {
	case waits:
		out.Verb, out.Body = lane.Insert, m.Body
		w.inserted++
	case gone:
		out.Verb = lane.Remove
	case out.DedupID == "":
		return nil
	}
	l := w.lane(ref, cursor)
	if m.DedupID != "" {
		k := dedupKey{ref, m.DedupID}
		if first := w.dedup[k]; waits && first > 0 && m.Seq-first < uint64(dedupFor.Microseconds()) {
			l.Rows = append(l.Rows, lane.Row{Verb: lane.Remove, Seq: first, ID: m.ID})
			w.rows++
		}
		w.dedup[k] = m.Seq
	}
	l.Rows = append(l.Rows, out)
	w.rows++
	w.bytes += len(out.Body)
	return w.flushWhenFull()
}

func (w *recovery) flushWhenFull() error {
	if w.rows < insertRows && w.bytes < insertBytes && len(w.lanes) < insertRows {
		return nil
	}
	return w.flush()
}

func (w *recovery) flush() error {
	if len(w.lanes) > 0 {
		w.s.seams.at(w.s.seams.beforeInsert)
	}
	if err := w.conn.Insert(w.ctx, w.lanes); err != nil {
		w.sick = true
		return err
	}
	clear(w.at)
	w.lanes, w.rows, w.bytes = nil, 0, 0
	return nil
}
