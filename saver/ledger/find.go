package ledger

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"
)

// Found is a row without its body, and with its lane's cursor.
type Found struct {
	Row
	StateMS int64
	Cursor  uint64
}

// ByID reads the rows of a push, at most `most` of them, in no order. An empty
// product is any.
func (l *Ledger) ByID(ctx context.Context, id, product string, most int) ([]Found, error) {
	q := `SELECT m.slot, m.seq, m.product, m.device, m.id, m.accepted_ms, m.expires_ms, m.dedup_id, m.collapse_key,
 m.state, m.state_ms, COALESCE(c.acked, 0)
 FROM messages m` + l.force("messages_id") + ` LEFT JOIN cursors c ON c.slot = m.slot AND c.product = m.product AND c.device = m.device WHERE m.id = ?`
	args := []any{id}
	if product != "" {
		q += " AND m.product = ?"
		args = append(args, product)
	}
	rows, err := l.read.QueryContext(ctx, q+" LIMIT ?", append(args, most)...)
	if err != nil {
		return nil, err
	}
	var all []Found
	for rows.Next() {
		var f Found
		if err := rows.Scan(&f.Slot, &f.Seq, &f.Product, &f.Device, &f.ID, &f.AcceptedMS, &f.ExpiresMS, &f.DedupID, &f.CollapseKey,
			&f.State, &f.StateMS, &f.Cursor); err != nil {
			return nil, errors.Join(err, rows.Close())
		}
		all = append(all, f)
	}
	return all, errors.Join(rows.Err(), rows.Close())
}

// Recall marks live rows of a push recalled. Those of again were marked before;
// their time is renewed, since a rebuild on an old copy of Redis reads the states
// that changed since the copy, and the caller is about to take them out of Redis
// once more.
func (l *Ledger) Recall(ctx context.Context, id string, live, again []Key) error {
	now := time.Now().UnixMilli()
	return l.exec(ctx, append(l.recall(id, Live, now, live), l.recall(id, Recalled, now, again)...))
}

func (l *Ledger) recall(id string, from State, nowMS int64, keys []Key) (all []statement) {
	// In the order of the table's key, so that two calls for the same rows never
	// wait for each other in a circle.
	sorted := slices.SortedFunc(slices.Values(keys), func(a, b Key) int {
		return cmp.Or(cmp.Compare(a.Slot, b.Slot), cmp.Compare(a.Seq, b.Seq))
	})
	for chunk := range slices.Chunk(sorted, statementRows) {
		args := []any{int(Recalled), nowMS, id, int(from)}
		for _, k := range chunk {
			args = append(args, k.Slot, int64(k.Seq), k.ExpiryDay)
		}
		all = append(all, statement{"UPDATE messages" + l.force("messages_id") + " SET state = ?, state_ms = ? WHERE id = ? AND state = ? AND (" +
			either("slot = ? AND seq = ? AND expiry_day = ?", len(chunk)) + ")", args})
	}
	return all
}
