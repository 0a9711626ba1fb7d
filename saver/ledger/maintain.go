package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"
)

// cursorDays is how long a cursor outlives its last change: longer than any
// message that it could hold back (30 days).
const cursorDays = 32

// keepDays is for how many days after its own a day's rows stay: for the hour
// of dedup_ids, and for collapse keys.
const keepDays = 1

// deleteRows bounds one DELETE.
const deleteRows = 500

// Prepare makes the partitions of the days to come and drops those of days that
// are over. It runs before the first append and then several times a day.
func (l *Ledger) Prepare(ctx context.Context, now time.Time) error {
	if !l.partitioned {
		return nil
	}
	return l.partition(ctx, DayOf(now.UnixMilli()))
}

// Clean deletes what no partition takes along: in the background, since it may
// be much after a long rest.
func (l *Ledger) Clean(ctx context.Context, now time.Time) error {
	today := DayOf(now.UnixMilli())
	if !l.partitioned {
		for _, table := range []string{"messages", "upstream", "traces"} {
			if err := l.deleteBelow(ctx, table, "rowid", "expiry_day", today-keepDays); err != nil {
				return err
			}
		}
	}
	return l.deleteBelow(ctx, "cursors", "slot, product, device", "day", today-cursorDays)
}

// deleteBelow removes rows with column < limit, some hundred at a time, each
// time letting the commits that wait go first.
func (l *Ledger) deleteBelow(ctx context.Context, table, key, column string, limit int) error {
	q := fmt.Sprintf("DELETE FROM %s WHERE (%s) IN (SELECT %s FROM %s WHERE %s < ? LIMIT %d)", table, key, key, table, column, deleteRows)
	if l.partitioned {
		q = fmt.Sprintf("DELETE FROM %s WHERE %s < ? LIMIT %d", table, column, deleteRows)
	}
	for {
		res, err := l.write.ExecContext(ctx, q, limit)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n < deleteRows {
			return err
		}
	}
}

func (l *Ledger) partition(ctx context.Context, today int) error {
	unlock, err := l.lock(ctx, "longlink_partitions", time.Minute)
	if err != nil {
		return err
	}
	for _, table := range []string{"messages", "upstream", "traces"} {
		if err = l.partitionTable(ctx, table, today); err != nil {
			break
		}
	}
	return errors.Join(err, unlock())
}

// partitionTable keeps one partition a day, from yesterday to AheadDays.
func (l *Ledger) partitionTable(ctx context.Context, table string, today int) error {
	names, bounds, err := l.partitions(ctx, table)
	if err != nil {
		return err
	}
	var add, drop []string
	for day := max(bounds[len(bounds)-1], today-keepDays); day <= today+l.opt.AheadDays; day++ {
		add = append(add, fmt.Sprintf("PARTITION p%d VALUES LESS THAN (%d)", day, day+1))
	}
	for i, bound := range bounds {
		if bound <= today-keepDays { // every row's day is below
			drop = append(drop, names[i])
		}
	}
	if len(add) > 0 {
		if _, err := l.write.ExecContext(ctx, "ALTER TABLE "+table+" ADD PARTITION ("+strings.Join(add, ", ")+")"); err != nil {
			return fmt.Errorf("partitions of %s: %w", table, err)
		}
	}
	if len(drop) > 0 {
		if _, err := l.write.ExecContext(ctx, "ALTER TABLE "+table+" DROP PARTITION "+strings.Join(drop, ", ")); err != nil {
			return fmt.Errorf("old partitions of %s: %w", table, err)
		}
	}
	return nil
}

func (l *Ledger) partitions(ctx context.Context, table string) (names []string, bounds []int, err error) {
	rows, err := l.read.QueryContext(ctx, `SELECT partition_name, CAST(partition_description AS SIGNED)
 FROM information_schema.partitions WHERE table_schema = DATABASE() AND table_name = ?
 ORDER BY partition_ordinal_position`, table)
	if err != nil {
		return nil, nil, err
	}
	for rows.Next() {
		var name sql.NullString
		var bound sql.NullInt64
		if err := rows.Scan(&name, &bound); err != nil {
			return nil, nil, errors.Join(err, rows.Close())
		}
		names, bounds = append(names, name.String), append(bounds, int(bound.Int64))
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return nil, nil, err
	}
	if len(names) == 0 || names[0] == "" {
		return nil, nil, fmt.Errorf("table %s has no partitions", table)
	}
	return names, bounds, nil
}
