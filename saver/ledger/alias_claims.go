package ledger

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
)

// AliasClaim says that a device's only alias in a product is this one.
type AliasClaim struct {
	Product, Device, Alias string
	AtMS                   int64 // of the login that said so
	// Late: the login was a while ago, so there may have been another one since.
	Late bool
}

type aliasRow struct {
	product, device, alias string
	createdMS              int64
}

// queryer is a transaction, or the handle for reading.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// ClaimsHeld answers, for each of the claims, whether it is so already: one
// read, by index, for up to 200 of them.
func (l *Ledger) ClaimsHeld(ctx context.Context, claims []AliasClaim) ([]bool, error) {
	held := make([]bool, 0, len(claims))
	for chunk := range slices.Chunk(claims, statementRows) {
		rows, err := l.aliasesOf(ctx, l.read, chunk, "")
		if err != nil {
			return nil, err
		}
		for _, c := range chunk {
			own := rows[[2]string{c.Device, c.Product}]
			held = append(held, len(own) == 1 && own[0].alias == c.Alias)
		}
	}
	return held, nil
}

// aliasesOf reads the aliases of the claims' devices in the claims' products, by
// (device, product). tail is what stands behind the query.
func (l *Ledger) aliasesOf(ctx context.Context, q queryer, claims []AliasClaim, tail string) (map[[2]string][]aliasRow, error) {
	args := make([]any, 0, 2*len(claims))
	for _, c := range claims {
		args = append(args, c.Device, c.Product)
	}
	rows, err := q.QueryContext(ctx, "SELECT product, device, alias, created_ms FROM aliases"+l.force("aliases_device")+" WHERE "+
		either("device = ? AND product = ?", len(claims))+tail, args...)
	if err != nil {
		return nil, err
	}
	all := map[[2]string][]aliasRow{}
	for rows.Next() {
		var r aliasRow
		if err := rows.Scan(&r.product, &r.device, &r.alias, &r.createdMS); err != nil {
			return nil, errors.Join(err, rows.Close())
		}
		k := [2]string{r.device, r.product}
		all[k] = append(all[k], r)
	}
	return all, errors.Join(rows.Err(), rows.Close())
}

// Claim makes claims true, in one transaction: a device's other aliases in the
// product go, and its own comes. A late claim takes only those away that are
// older than its login, and where there is a younger one it adds nothing; one
// that is not late does not compare the clocks of hosts. At most one claim for
// a device and product, and 200 together. full are those whose alias has as many
// devices as it may: these devices have no alias then.
func (l *Ledger) Claim(ctx context.Context, claims []AliasClaim, most int) (full []AliasClaim, err error) {
	// In the order of the index, so that two savers rarely wait for each other in
	// a circle; when they do, it is repeated.
	sorted := slices.SortedFunc(slices.Values(claims), func(a, b AliasClaim) int {
		return cmp.Or(strings.Compare(a.Device, b.Device), strings.Compare(a.Product, b.Product))
	})
	err = l.again(ctx, func() error {
		return l.inTx(ctx, func(tx *sql.Tx) (err error) {
			full, err = l.claim(ctx, tx, sorted, most)
			return err
		})
	})
	return full, err
}

func (l *Ledger) claim(ctx context.Context, tx *sql.Tx, claims []AliasClaim, most int) (full []AliasClaim, err error) {
	// It locks these devices' places in the index until the end: another saver's
	// claim for one of them comes before all this, or after.
	there, err := l.aliasesOf(ctx, tx, claims, l.forUpdate)
	if err != nil {
		return nil, err
	}
	var come []AliasClaim
	for _, c := range claims {
		stays := false // an alias that makes this one superfluous, or late
		for _, r := range there[[2]string{c.Device, c.Product}] {
			if r.alias == c.Alias || c.Late && r.createdMS > c.AtMS {
				stays = true
				continue
			}
			// One by one: rare, and by the whole key.
			if _, err := tx.ExecContext(ctx, "DELETE FROM aliases WHERE product = ? AND alias = ? AND device = ?", r.product, r.alias, r.device); err != nil {
				return nil, err
			}
		}
		if !stays {
			come = append(come, c)
		}
	}
	if len(come) == 0 {
		return nil, nil
	}
	counts, err := l.aliasCounts(ctx, tx, come)
	if err != nil {
		return nil, err
	}
	var args []any
	for _, c := range come {
		k := [2]string{c.Product, c.Alias}
		if counts[k] >= most {
			full = append(full, c)
			continue
		}
		counts[k]++
		args = append(args, c.Product, c.Alias, c.Device, c.AtMS)
	}
	if len(args) > 0 {
		_, err = tx.ExecContext(ctx, "INSERT INTO aliases (product, alias, device, created_ms) VALUES "+tuples(len(args)/4, 4), args...)
	}
	return full, err
}

// aliasCounts is how many devices the claimed aliases have, by (product, alias).
func (l *Ledger) aliasCounts(ctx context.Context, q queryer, claims []AliasClaim) (map[[2]string]int, error) {
	counts := map[[2]string]int{}
	var args []any
	for _, c := range claims {
		k := [2]string{c.Product, c.Alias}
		if _, twice := counts[k]; !twice {
			counts[k] = 0
			args = append(args, c.Product, c.Alias)
		}
	}
	rows, err := q.QueryContext(ctx, "SELECT product, alias, COUNT(*) FROM aliases"+l.force("PRIMARY")+" WHERE "+
		either("product = ? AND alias = ?", len(counts))+" GROUP BY product, alias", args...)
	if err != nil {
		return nil, err
	}
	for rows.Next() {
		var k [2]string
		var n int
		if err := rows.Scan(&k[0], &k[1], &n); err != nil {
			return nil, errors.Join(err, rows.Close())
		}
		counts[k] = n
	}
	return counts, errors.Join(rows.Err(), rows.Close())
}

// force names the index to be used. MySQL would read the whole table, and lock it,
// for many conditions on a table that its statistics still take to be small.
func (l *Ledger) force(index string) string {
	if !l.partitioned {
		return ""
	}
	return " FORCE INDEX (" + index + ")"
}

// either joins n times the same condition.
func either(condition string, n int) string {
	one := "(" + condition + ")"
	return one + strings.Repeat(" OR "+one, n-1)
}
