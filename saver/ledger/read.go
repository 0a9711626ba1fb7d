package ledger

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"
)

// Want is what a rebuild needs of one slot. With Since and ChangedMS at 0: all
// rows; else those with a seq above Since, and those whose state changed after
// ChangedMS.
type Want struct {
	Slot      uint16
	Since     uint64
	ChangedMS int64
}

// Lost is one row for a rebuild, with its lane's cursor. Body is nil unless the
// row is Live and not expired.
type Lost struct {
	Row
	Cursor uint64
}

// Rows calls fn for the rows that a rebuild must know, in order of slot and
// seq: those that wait, those that stand behind a collapse key, those whose
// dedup_id is younger than dedup, and those whose state changed. Void ones are
// never among them. Rows are streamed; fn's error ends the query.
func (l *Ledger) Rows(ctx context.Context, wants []Want, now time.Time, dedup time.Duration, fn func(Lost) error) error {
	if len(wants) == 0 {
		return nil
	}
	nowMS := now.UnixMilli()
	q := strings.Builder{}
	q.WriteString(`SELECT m.slot, m.seq, m.product, m.device, m.id, m.accepted_ms, m.expires_ms, m.dedup_id,
 m.collapse_key, m.state, CASE WHEN m.state = 0 AND m.expires_ms > ? THEN m.body END, COALESCE(c.acked, 0)
 FROM messages m LEFT JOIN cursors c ON c.slot = m.slot AND c.product = m.product AND c.device = m.device
 WHERE m.state <> 2 AND ((m.state = 0 AND m.expires_ms > ?) OR m.state <> 0 OR m.collapse_key <> ''
 OR (m.dedup_id <> '' AND m.seq > ?)) AND m.slot IN (?`)
	q.WriteString(strings.Repeat(",?", len(wants)-1) + ") AND (")
	args := []any{nowMS, nowMS, now.Add(-dedup).UnixMicro()}
	for _, w := range wants {
		args = append(args, w.Slot)
	}
	for i, w := range wants {
		if i > 0 {
			q.WriteString(" OR ")
		}
		if w.Since == 0 && w.ChangedMS == 0 {
			q.WriteString("m.slot = ?")
			args = append(args, w.Slot)
			continue
		}
		q.WriteString("(m.slot = ? AND (m.seq > ? OR m.state_ms > ?))")
		args = append(args, w.Slot, int64(w.Since), w.ChangedMS)
	}
	q.WriteString(") ORDER BY m.slot, m.seq")

	rows, err := l.read.QueryContext(ctx, q.String(), args...)
	if err != nil {
		return err
	}
	for rows.Next() {
		var r Lost
		if err = rows.Scan(&r.Slot, &r.Seq, &r.Product, &r.Device, &r.ID, &r.AcceptedMS, &r.ExpiresMS, &r.DedupID,
			&r.CollapseKey, &r.State, &r.Body, &r.Cursor); err == nil {
			err = fn(r)
		}
		if err != nil {
			return errors.Join(err, rows.Close())
		}
	}
	return errors.Join(rows.Err(), rows.Close())
}

// Stored answers which of the rows are there under their own id.
func (l *Ledger) Stored(ctx context.Context, rows []Row) (map[Key]bool, error) {
	there := map[Key]bool{}
	for chunk := range slices.Chunk(rows, statementRows) {
		ids := make(map[Key]string, len(chunk))
		var args []any
		for _, r := range chunk {
			k := Key{Slot: r.Slot, Seq: r.Seq, ExpiryDay: DayOf(r.ExpiresMS)}
			ids[k] = r.ID
			args = append(args, k.Slot, int64(k.Seq), k.ExpiryDay)
		}
		found, err := l.read.QueryContext(ctx, "SELECT slot, seq, expiry_day, id FROM messages WHERE (slot = ? AND seq = ? AND expiry_day = ?)"+
			strings.Repeat(" OR (slot = ? AND seq = ? AND expiry_day = ?)", len(chunk)-1), args...)
		if err != nil {
			return nil, err
		}
		for found.Next() {
			var k Key
			var id string
			if err := found.Scan(&k.Slot, &k.Seq, &k.ExpiryDay, &id); err != nil {
				return nil, errors.Join(err, found.Close())
			}
			if ids[k] == id {
				there[k] = true
			}
		}
		if err := errors.Join(found.Err(), found.Close()); err != nil {
			return nil, err
		}
	}
	return there, nil
}

// Clocks answers the highest seq that each slot's messages and cursors show.
func (l *Ledger) Clocks(ctx context.Context, slots []uint16) ([]uint64, error) {
	if len(slots) == 0 {
		return nil, nil
	}
	var parts []string
	var args []any
	for i, s := range slots {
		parts = append(parts, "SELECT ? AS i, COALESCE(MAX(seq), 0) AS top FROM messages WHERE slot = ?",
			"SELECT ? AS i, COALESCE(MAX(acked), 0) AS top FROM cursors WHERE slot = ?")
		args = append(args, i, s, i, s)
	}
	rows, err := l.read.QueryContext(ctx, strings.Join(parts, " UNION ALL "), args...)
	if err != nil {
		return nil, err
	}
	out := make([]uint64, len(slots))
	for rows.Next() {
		var i int
		var top uint64
		if err := rows.Scan(&i, &top); err != nil {
			return nil, errors.Join(err, rows.Close())
		}
		out[i] = max(out[i], top)
	}
	return out, errors.Join(rows.Err(), rows.Close())
}

// CursorsSince calls fn for the lanes of a slot whose cursor has moved after a
// time in Unix ms.
func (l *Ledger) CursorsSince(ctx context.Context, slot uint16, changedMS int64, fn func(Cursor) error) error {
	rows, err := l.read.QueryContext(ctx, "SELECT product, device, acked FROM cursors WHERE slot = ? AND changed_ms > ?", slot, changedMS)
	if err != nil {
		return err
	}
	for rows.Next() {
		c := Cursor{Slot: slot}
		if err = rows.Scan(&c.Product, &c.Device, &c.Acked); err == nil {
			err = fn(c)
		}
		if err != nil {
			return errors.Join(err, rows.Close())
		}
	}
	return errors.Join(rows.Err(), rows.Close())
}

// Cursor reads one lane's; 0: none.
func (l *Ledger) Cursor(ctx context.Context, slot uint16, product, device string) (acked uint64, err error) {
	err = l.read.QueryRowContext(ctx, "SELECT acked FROM cursors WHERE slot = ? AND product = ? AND device = ?",
		slot, product, device).Scan(&acked)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return acked, err
}
