package ledger

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"
)

// Bounds of one INSERT; MySQL's max_allowed_packet is 16 MiB or more.
const (
	statementRows  = 200
	statementBytes = 2 << 20
)

// Batch is what one group of appends leaves in the ledger.
type Batch struct {
	// Fresh rows have seqs that were never stored: one that is there already is
	// an error.
	Fresh []Row
	// Again are rows of a dedup_id seen before: they are stored where they are
	// absent, and a void one lives again. None of them can be made void after
	// that: the repeated push was answered yes.
	Again []Row
	// Replaced are marked so.
	Replaced []Key
}

type statement struct {
	query string
	args  []any
}

// Commit stores the batches in one transaction. After an error the outcome is
// not known.
func (l *Ledger) Commit(ctx context.Context, batches []Batch) error {
	var fresh, again []Row
	var replaced []Key
	for _, b := range batches {
		fresh, again, replaced = append(fresh, b.Fresh...), append(again, b.Again...), append(replaced, b.Replaced...)
	}
	now := time.Now().UnixMilli()
	all := insertMessages(nil, fresh, 0, "")
	all = insertMessages(all, again, now, l.keepOrRevive)
	for k := range slices.Chunk(replaced, statementRows) {
		all = append(all, setState(Live, Replaced, now, k, false))
	}
	return l.exec(ctx, all)
}

// SetState gives live rows their last state; rows in another one keep it.
func (l *Ledger) SetState(ctx context.Context, s State, keys []Key) error {
	var all []statement
	now := time.Now().UnixMilli()
	for k := range slices.Chunk(keys, statementRows) {
		all = append(all, setState(Live, s, now, k, false))
	}
	return l.exec(ctx, all)
}

// Void marks live rows void, but for those that a repeated push has confirmed,
// and lets those live again that the same batch had marked as replaced by them.
func (l *Ledger) Void(ctx context.Context, keys, replaced []Key) error {
	var all []statement
	now := time.Now().UnixMilli()
	for k := range slices.Chunk(keys, statementRows) {
		all = append(all, setState(Live, Void, now, k, true))
	}
	for k := range slices.Chunk(replaced, statementRows) {
		all = append(all, setState(Replaced, Live, 0, k, false))
	}
	return l.exec(ctx, all)
}

// SaveCursors raises cursors; one that is behind what is stored changes
// nothing.
func (l *Ledger) SaveCursors(ctx context.Context, cursors []Cursor) error {
	// In the order of the key, so that two savers never wait for each other in
	// a circle.
	sorted := slices.SortedFunc(slices.Values(cursors), func(a, b Cursor) int {
		return cmp.Or(cmp.Compare(a.Slot, b.Slot), strings.Compare(a.Product, b.Product), strings.Compare(a.Device, b.Device))
	})
	now := time.Now().UnixMilli()
	var all []statement
	for chunk := range slices.Chunk(sorted, statementRows) {
		args := make([]any, 0, 6*len(chunk))
		for _, c := range chunk {
			args = append(args, c.Slot, c.Product, c.Device, int64(c.Acked), now, DayOf(now))
		}
		all = append(all, statement{"INSERT INTO cursors (slot, product, device, acked, changed_ms, day) VALUES " +
			tuples(len(chunk), 6) + l.raiseCursor, args})
	}
	return l.exec(ctx, all)
}

func insertMessages(all []statement, rows []Row, stateMS int64, tail string) []statement {
	rows = slices.SortedFunc(slices.Values(rows), func(a, b Row) int {
		return cmp.Or(cmp.Compare(a.Slot, b.Slot), cmp.Compare(a.Seq, b.Seq))
	})
	for len(rows) > 0 {
		n, bytes := 0, 0
		for n < len(rows) && n < statementRows && (n == 0 || bytes+len(rows[n].Body) <= statementBytes) {
			bytes += len(rows[n].Body)
			n++
		}
		args := make([]any, 0, 13*n)
		for _, r := range rows[:n] {
			args = append(args, r.Slot, int64(r.Seq), DayOf(r.ExpiresMS), r.Product, r.Device, r.ID,
				r.AcceptedMS, r.ExpiresMS, r.DedupID, r.CollapseKey, int(r.State), stateMS, r.Body)
		}
		all = append(all, statement{"INSERT INTO messages (slot, seq, expiry_day, product, device, id, " +
			"accepted_ms, expires_ms, dedup_id, collapse_key, state, state_ms, body) VALUES " + tuples(n, 13) + tail, args})
		rows = rows[n:]
	}
	return all
}

// setState leaves out the rows that were confirmed when unconfirmed is set.
func setState(from, to State, nowMS int64, keys []Key, unconfirmed bool) statement {
	var q strings.Builder
	q.WriteString("UPDATE messages SET state = ?, state_ms = ? WHERE state = ? AND (")
	if unconfirmed {
		q.WriteString("state_ms = 0) AND (")
	}
	args := []any{int(to), nowMS, int(from)}
	for i, k := range keys {
		if i > 0 {
			q.WriteString(" OR ")
		}
		q.WriteString("(slot = ? AND seq = ? AND expiry_day = ?)")
		args = append(args, k.Slot, int64(k.Seq), k.ExpiryDay)
	}
	q.WriteString(")")
	return statement{q.String(), args}
}

// exec runs the statements in one transaction.
func (l *Ledger) exec(ctx context.Context, all []statement) error {
	if len(all) == 0 {
		return nil
	}
	return l.again(ctx, func() error {
		if len(all) == 1 {
			_, err := l.write.ExecContext(ctx, all[0].query, all[0].args...)
			return err
		}
		return l.inTx(ctx, func(tx *sql.Tx) error {
			for _, s := range all {
				if _, err := tx.ExecContext(ctx, s.query, s.args...); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// inTx runs do in one transaction, which is rolled back after an error or a
// panic.
func (l *Ledger) inTx(ctx context.Context, do func(*sql.Tx) error) (err error) {
	tx, err := l.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() {
		if rerr := tx.Rollback(); rerr != nil && !errors.Is(rerr, sql.ErrTxDone) {
			err = errors.Join(err, rerr)
		}
	}()
	if err := do(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// tuples is "(?,?),(?,?)" for n rows of width placeholders.
func tuples(n, width int) string {
	one := "(?" + strings.Repeat(",?", width-1) + ")"
	return one + strings.Repeat(","+one, n-1)
}
