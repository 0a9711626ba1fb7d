package ledger

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// AliasLimits bound what is added.
type AliasLimits struct {
	Devices int // of one alias
	Aliases int // of one device in one product
}

// AliasAdded is what became of a device that was to get an alias.
type AliasAdded int

// What it may be.
const (
	AliasNew   AliasAdded = iota // it has it from now on
	AliasThere                   // it had it before
	AliasFull                    // the alias has as many devices as it may
	AliasMany                    // the device has as many aliases as it may
)

// AddAlias gives a device of a product one alias more. What is counted is locked
// until the end, so the limits hold against other savers too.
func (l *Ledger) AddAlias(ctx context.Context, product, alias, device string, most AliasLimits) (out AliasAdded, err error) {
	err = l.again(ctx, func() error {
		return l.inTx(ctx, func(tx *sql.Tx) error {
			var there, devices, aliases int
			err := tx.QueryRowContext(ctx, "SELECT COUNT(*), COALESCE(SUM(CASE WHEN device = ? THEN 1 ELSE 0 END), 0) FROM aliases WHERE product = ? AND alias = ?"+l.forUpdate,
				device, product, alias).Scan(&devices, &there)
			if err == nil {
				err = tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM aliases WHERE device = ? AND product = ?"+l.forUpdate, device, product).Scan(&aliases)
			}
			switch {
			case err != nil:
				return err
			case there > 0:
				out = AliasThere
				return nil
			case devices >= most.Devices:
				out = AliasFull
				return nil
			case aliases >= most.Aliases:
				out = AliasMany
				return nil
			}
			out = AliasNew
			_, err = tx.ExecContext(ctx, "INSERT INTO aliases (product, alias, device, created_ms) VALUES (?, ?, ?, ?)", product, alias, device, time.Now().UnixMilli())
			return err
		})
	})
	return out, err
}

// RemoveAlias is false when the device did not have the alias.
func (l *Ledger) RemoveAlias(ctx context.Context, product, alias, device string) (removed bool, err error) {
	err = l.again(ctx, func() error {
		res, err := l.write.ExecContext(ctx, "DELETE FROM aliases WHERE product = ? AND alias = ? AND device = ?", product, alias, device)
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		removed = n > 0
		return err
	})
	return removed, err
}

// AliasDevice is one device of an alias.
type AliasDevice struct {
	Device    string
	CreatedMS int64
}

// AliasDevices reads up to most devices of an alias, by id, behind after.
func (l *Ledger) AliasDevices(ctx context.Context, product, alias, after string, most int) ([]AliasDevice, error) {
	rows, err := l.read.QueryContext(ctx, "SELECT device, created_ms FROM aliases WHERE product = ? AND alias = ? AND device > ? ORDER BY device LIMIT ?",
		product, alias, after, most)
	if err != nil {
		return nil, err
	}
	var all []AliasDevice
	for rows.Next() {
		var d AliasDevice
		if err := rows.Scan(&d.Device, &d.CreatedMS); err != nil {
			return nil, errors.Join(err, rows.Close())
		}
		all = append(all, d)
	}
	return all, errors.Join(rows.Err(), rows.Close())
}

// DropAliases removes the aliases of a product that were made before a time in
// Unix ms, some hundred at a time, each time letting others go first.
func (l *Ledger) DropAliases(ctx context.Context, product string, before int64) error {
	q := "DELETE FROM aliases WHERE (product, alias, device) IN (SELECT product, alias, device FROM aliases WHERE product = ? AND created_ms < ? LIMIT ?)"
	if l.partitioned {
		q = "DELETE FROM aliases WHERE product = ? AND created_ms < ? LIMIT ?"
	}
	for {
		var n int64
		err := l.again(ctx, func() error {
			res, err := l.write.ExecContext(ctx, q, product, before, deleteRows)
			if err == nil {
				n, err = res.RowsAffected()
			}
			return err
		})
		if err != nil || n < deleteRows {
			return err
		}
	}
}
