package ledger

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"longlink/pkg/slot"
)

// UpParts is the number of partitions of the upstream log: of 16 neighbouring
// slots each, as many as share one Redis hash tag.
const UpParts = slot.Count / slot.PerTag

// Up is one row of the upstream log.
type Up struct {
	Part            uint16
	Class           int // 0: data of a device
	Product, Device string
	Kind            string
	UpID            uint64 // the device's own number
	Epoch           uint64 // below 2^63
	Flags           uint8
	ReceivedMS      int64
	ExpiresMS       int64
	RequestID       string // a name, or empty
	Ext, Payload    []byte

	// Set by AppendUpstream, and valid once it has returned nil.
	Seq       uint64
	Duplicate bool // stored before, under Seq
}

// upKey is what makes two rows the same data.
type upKey struct {
	device, product string
	upID            uint64
}

func (u *Up) key() upKey { return upKey{u.Device, u.Product, u.UpID} }

// AppendUpstream stores the rows in one transaction and gives each its seq,
// rising in the order of ups within a partition. What is stored already, or
// comes twice, gets the first one's seq. After an error the outcome is not
// known, and the same rows may be given again.
//
// The seqs of a partition are given out under the lock of its head, which is
// held until the commit. So rows become visible in the order of seq, and the
// look for duplicates sees all that was stored before.
func (l *Ledger) AppendUpstream(ctx context.Context, ups []*Up, now time.Time) error {
	if len(ups) == 0 {
		return nil
	}
	parts := partsOf(ups)
	store := func() error {
		return l.inTx(ctx, func(tx *sql.Tx) error { return l.appendUpstream(ctx, tx, ups, parts, now) })
	}
	return l.again(ctx, func() error {
		err := store()
		if !errors.Is(err, errNoHead) {
			return err
		}
		// Not in the same transaction: two that have both found the row missing
		// would each hold what the other waits for.
		if err := l.makeHeads(ctx, parts, now); err != nil {
			return err
		}
		return store()
	})
}

func (l *Ledger) appendUpstream(ctx context.Context, tx *sql.Tx, ups []*Up, parts []uint16, now time.Time) error {
	// The lock comes first: under REPEATABLE READ the first plain SELECT fixes
	// what the transaction sees.
	heads, err := l.lockHeads(ctx, tx, parts)
	if err != nil {
		return err
	}
	seqs, err := l.storedUpstream(ctx, tx, ups)
	if err != nil {
		return err
	}
	moved := map[uint16]uint64{}
	var fresh []*Up
	for _, u := range ups {
		if u.Seq, u.Duplicate = seqs[u.key()]; u.Duplicate {
			continue
		}
		u.Seq = max(heads[u.Part]+1, uint64(now.UnixMicro()))
		heads[u.Part], moved[u.Part], seqs[u.key()] = u.Seq, u.Seq, u.Seq
		fresh = append(fresh, u)
	}
	for _, s := range append(l.insertUpstream(fresh), l.moveHeads(moved, now)...) {
		if _, err := tx.ExecContext(ctx, s.query, s.args...); err != nil {
			return err
		}
	}
	return nil
}

// findRows are looked up in one statement. From 200 on MySQL guesses what they
// cost, by eq_range_index_dive_limit, and may read the whole index instead.
const findRows = 100

// storedUpstream answers the seqs of the rows that are there already.
func (l *Ledger) storedUpstream(ctx context.Context, tx *sql.Tx, ups []*Up) (map[upKey]uint64, error) {
	seqs := make(map[upKey]uint64, len(ups))
	for chunk := range slices.Chunk(ups, findRows) {
		args := make([]any, 0, 3*len(chunk))
		for _, u := range chunk {
			args = append(args, u.Device, u.Product, l.unsigned(u.UpID))
		}
		rows, err := tx.QueryContext(ctx, l.findUpstream(len(chunk)), args...)
		if err != nil {
			return nil, err
		}
		for rows.Next() {
			var k upKey
			var seq uint64
			if err := rows.Scan(&k.device, &k.product, (*unsigned)(&k.upID), &seq); err != nil {
				return nil, errors.Join(err, rows.Close())
			}
			seqs[k] = seq
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return nil, err
		}
	}
	return seqs, nil
}

// upColumns are all columns of the table, in the order in which they are
// written.
const upColumns = "part, seq, expiry_day, class, product, device, kind, up_id, epoch, flags, received_ms, expires_ms, request_id, ext, payload"

func (l *Ledger) insertUpstream(ups []*Up) (all []statement) {
	for len(ups) > 0 {
		n, bytes := 0, 0
		for n < len(ups) && n < statementRows && (n == 0 || bytes+ups[n].size() <= statementBytes) {
			bytes += ups[n].size()
			n++
		}
		args := make([]any, 0, 15*n)
		for _, u := range ups[:n] {
			args = append(args, u.Part, int64(u.Seq), DayOf(u.ExpiresMS), u.Class, u.Product, u.Device, u.Kind, l.unsigned(u.UpID),
				int64(u.Epoch), u.Flags, u.ReceivedMS, u.ExpiresMS, u.RequestID, notNull(u.Ext), notNull(u.Payload))
		}
		all = append(all, statement{"INSERT INTO upstream (" + upColumns + ") VALUES " + tuples(n, 15), args})
		ups = ups[n:]
	}
	return all
}

func (u *Up) size() int { return len(u.Ext) + len(u.Payload) }

// notNull: what is empty is never NULL in the ledger.
func notNull(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// partsOf are the partitions in ascending order, in which all lock them.
func partsOf(ups []*Up) []uint16 {
	parts := make([]uint16, len(ups))
	for i, u := range ups {
		parts[i] = u.Part
	}
	slices.Sort(parts)
	return slices.Compact(parts)
}
