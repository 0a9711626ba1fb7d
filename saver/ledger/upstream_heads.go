package ledger

import (
	"context"
	"database/sql"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"
)

// A head is a row of upstream_positions with this consumer: the highest seq of
// a partition's log, and the lock under which the next one is given out.
const headConsumer = "log"

// errNoHead: nothing was ever stored in a partition.
var errNoHead = errors.New("a partition of the upstream log has no head")

// UpstreamHeads calls fn with the head of each partition that has one. All that
// will ever be at or below it is visible.
func (l *Ledger) UpstreamHeads(ctx context.Context, fn func(part int, seq uint64)) error {
	rows, err := l.read.QueryContext(ctx, "SELECT part, seq FROM upstream_positions WHERE consumer = ?", headConsumer)
	if err != nil {
		return err
	}
	return eachHead(rows, fn)
}

func eachHead(rows *sql.Rows, fn func(part int, seq uint64)) error {
	for rows.Next() {
		var part int
		var seq uint64
		if err := rows.Scan(&part, &seq); err != nil {
			return errors.Join(err, rows.Close())
		}
		fn(part, seq)
	}
	return errors.Join(rows.Err(), rows.Close())
}

// lockHeads answers the heads of the partitions, which must ascend, and holds
// them until the transaction ends. In SQLite the transaction has the whole
// ledger already, and a head that is missing is 0.
func (l *Ledger) lockHeads(ctx context.Context, tx *sql.Tx, parts []uint16) (map[uint16]uint64, error) {
	args := append([]any{headConsumer}, slotArgs(parts)...)
	rows, err := tx.QueryContext(ctx, l.lockPositions(len(parts)), args...)
	if err != nil {
		return nil, err
	}
	heads := make(map[uint16]uint64, len(parts))
	if err := eachHead(rows, func(part int, seq uint64) { heads[uint16(part)] = seq }); err != nil {
		return nil, err
	}
	if l.partitioned && len(heads) < len(parts) {
		return nil, errNoHead
	}
	return heads, nil
}

// makeHeads makes the heads that are missing: there must be a row to lock.
func (l *Ledger) makeHeads(ctx context.Context, parts []uint16, now time.Time) error {
	zero := make(map[uint16]uint64, len(parts))
	for _, p := range parts {
		zero[p] = 0
	}
	s := insertHeads("INSERT IGNORE", zero, now, "")
	_, err := l.write.ExecContext(ctx, s.query, s.args...)
	return err
}

func (l *Ledger) moveHeads(moved map[uint16]uint64, now time.Time) []statement {
	if len(moved) == 0 {
		return nil
	}
	return []statement{insertHeads("INSERT", moved, now, l.movePosition())}
}

func insertHeads(verb string, heads map[uint16]uint64, now time.Time, tail string) statement {
	args := make([]any, 0, 4*len(heads))
	for _, p := range slices.Sorted(maps.Keys(heads)) {
		args = append(args, p, headConsumer, int64(heads[p]), now.UnixMilli())
	}
	const one = "(?, ?, ?, 0, '', ?)"
	return statement{verb + " INTO upstream_positions (part, consumer, seq, epoch, owner, updated_ms) VALUES " +
		one + strings.Repeat(", "+one, len(heads)-1) + tail, args}
}
