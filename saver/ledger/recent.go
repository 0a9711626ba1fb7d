package ledger

import (
	"context"
	"errors"
	"strings"
	"time"
)

// Lane is a lane with live messages above its cursor.
type Lane struct {
	Slot            uint16
	Product, Device string
	Seq             uint64 // the newest of them
	ExpiresMS       int64  // the latest
}

// Newest is the highest seq of a message in the slots, at most 400; 0: none.
func (l *Ledger) Newest(ctx context.Context, slots []uint16) (seq uint64, err error) {
	if len(slots) == 0 {
		return 0, nil
	}
	one := "SELECT MAX(seq) AS top FROM messages WHERE slot = ?" // reads one entry of the key
	q := "SELECT COALESCE(MAX(top), 0) FROM (" + one + strings.Repeat(" UNION ALL "+one, len(slots)-1) + ") AS tops"
	err = l.read.QueryRowContext(ctx, q, slotArgs(slots)...).Scan(&seq)
	return seq, err
}

// Waiting calls fn for the lanes of the slots that have live messages above
// their cursors with seqs above after. Rows are streamed; fn's error ends the
// query.
func (l *Ledger) Waiting(ctx context.Context, slots []uint16, after uint64, now time.Time, fn func(Lane) error) error {
	if len(slots) == 0 {
		return nil
	}
	rows, err := l.read.QueryContext(ctx, `SELECT m.slot, m.product, m.device, MAX(m.seq), MAX(m.expires_ms)
 FROM messages m LEFT JOIN cursors c ON c.slot = m.slot AND c.product = m.product AND c.device = m.device
 WHERE m.slot IN (?`+strings.Repeat(",?", len(slots)-1)+`) AND m.seq > ? AND m.state = 0 AND m.expires_ms > ?
 AND m.seq > COALESCE(c.acked, 0) GROUP BY m.slot, m.product, m.device`,
		append(slotArgs(slots), int64(after), now.UnixMilli())...)
	if err != nil {
		return err
	}
	for rows.Next() {
		var x Lane
		if err = rows.Scan(&x.Slot, &x.Product, &x.Device, &x.Seq, &x.ExpiresMS); err == nil {
			err = fn(x)
		}
		if err != nil {
			return errors.Join(err, rows.Close())
		}
	}
	return errors.Join(rows.Err(), rows.Close())
}

func slotArgs(slots []uint16) []any {
	args := make([]any, len(slots))
	for i, s := range slots {
		args[i] = s
	}
	return args
}
