package ledger

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"
)

// Page is which rows of a partition's log are wanted.
type Page struct {
	Part          int
	After         uint64 // only seqs above
	Rows          int    // at most
	Bytes         int    // of ext and payload, at most; one row comes even when it is larger
	Product, Kind string // empty: any
}

// lookRows bounds how many rows of the log one page passes over: a filter that
// matches nothing, or a log of which all has expired, costs no more than this.
const lookRows = 2000

// firstBodies rows are fetched at once at first, then four times as many each
// time: rows may be large, and what is beyond the page's bytes was fetched in
// vain.
const firstBodies = 64

// ReadUpstream answers the rows of a page that have not expired, in order of
// seq. Everything at or below read was looked at: it is where the next page
// begins. A page may be empty and still have moved on.
func (l *Ledger) ReadUpstream(ctx context.Context, p Page, now time.Time) (ups []*Up, read uint64, err error) {
	// The head comes first: all at or below it is visible to what follows.
	var head uint64
	err = l.read.QueryRowContext(ctx, "SELECT seq FROM upstream_positions WHERE part = ? AND consumer = ?", p.Part, headConsumer).Scan(&head)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, 0, err
	}
	if head <= p.After {
		return nil, p.After, nil
	}
	found, read, err := l.lookUpstream(ctx, p, head, now)
	if err != nil {
		return nil, 0, err
	}
	bytes := 0
	for n := firstBodies; len(found) > 0; n *= 4 {
		n = min(n, len(found))
		some, err := l.upstreamBodies(ctx, p.Part, found[:n])
		if err != nil {
			return nil, 0, err
		}
		for _, u := range some {
			if bytes += u.size(); bytes > p.Bytes && len(ups) > 0 {
				return ups, ups[len(ups)-1].Seq, nil
			}
			ups = append(ups, u)
		}
		found = found[n:]
	}
	return ups, read, nil
}

// upPlace is where a row of a partition lies.
type upPlace struct {
	seq uint64
	day int
}

// lookUpstream finds the rows of a page without reading their bodies, and how
// far it has looked.
func (l *Ledger) lookUpstream(ctx context.Context, p Page, head uint64, now time.Time) (found []upPlace, read uint64, err error) {
	wanted, args := "expires_ms > ?", []any{now.UnixMilli()}
	if p.Product != "" {
		wanted, args = wanted+" AND product = ?", append(args, p.Product)
	}
	if p.Kind != "" {
		wanted, args = wanted+" AND kind = ?", append(args, p.Kind)
	}
	args = append(args, p.Part, int64(p.After), int64(head), lookRows)
	rows, err := l.read.QueryContext(ctx, "SELECT seq, expiry_day, CASE WHEN "+wanted+" THEN 1 ELSE 0 END"+
		" FROM upstream WHERE part = ? AND seq > ? AND seq <= ? ORDER BY seq LIMIT ?", args...)
	if err != nil {
		return nil, 0, err
	}
	read = head
	looked := 0
	for rows.Next() {
		var at upPlace
		var want bool
		if err := rows.Scan(&at.seq, &at.day, &want); err != nil {
			return nil, 0, errors.Join(err, rows.Close())
		}
		if want {
			found = append(found, at)
		}
		if looked++; looked == lookRows || len(found) == p.Rows {
			read = at.seq
			break
		}
	}
	return found, read, errors.Join(rows.Err(), rows.Close())
}

// upstreamBodies reads rows in order of seq; one whose day was dropped
// meanwhile is left out.
func (l *Ledger) upstreamBodies(ctx context.Context, part int, places []upPlace) ([]*Up, error) {
	// The days spare MySQL a look into each day's partition.
	args := []any{part}
	days := map[int]bool{}
	for _, at := range places {
		args, days[at.day] = append(args, int64(at.seq)), true
	}
	for day := range days {
		args = append(args, day)
	}
	rows, err := l.read.QueryContext(ctx, "SELECT "+upColumns+" FROM upstream WHERE part = ? AND seq IN (?"+strings.Repeat(",?", len(places)-1)+
		") AND expiry_day IN (?"+strings.Repeat(",?", len(days)-1)+") ORDER BY seq", args...)
	if err != nil {
		return nil, err
	}
	ups := make([]*Up, 0, len(places))
	for rows.Next() {
		var u Up
		var day int
		if err := rows.Scan(&u.Part, &u.Seq, &day, &u.Class, &u.Product, &u.Device, &u.Kind, (*unsigned)(&u.UpID), &u.Epoch, &u.Flags,
			&u.ReceivedMS, &u.ExpiresMS, &u.RequestID, &u.Ext, &u.Payload); err != nil {
			return nil, errors.Join(err, rows.Close())
		}
		ups = append(ups, &u)
	}
	return ups, errors.Join(rows.Err(), rows.Close())
}
