package ledger

import (
	"fmt"
	"strconv"
	"strings"
)

// What the two databases want differently for the upstream log.

// lockPositions reads and locks the rows of one consumer in n partitions. With
// the index forced MySQL locks these rows and no neighbours, in ascending order.
func (d *dialect) lockPositions(n int) string {
	hint, lock := "", ""
	if d.partitioned {
		hint, lock = " FORCE INDEX (PRIMARY)", " FOR UPDATE"
	}
	return "SELECT part, seq FROM upstream_positions" + hint + " WHERE consumer = ? AND part IN (?" + strings.Repeat(",?", n-1) + ") ORDER BY part" + lock
}

// movePosition stands behind INSERT INTO upstream_positions.
func (d *dialect) movePosition() string {
	if d.partitioned {
		return " ON DUPLICATE KEY UPDATE seq = VALUES(seq), updated_ms = VALUES(updated_ms)"
	}
	return " ON CONFLICT (part, consumer) DO UPDATE SET seq = excluded.seq, updated_ms = excluded.updated_ms"
}

// findUpstream looks n rows up by (device, product, up_id), in every day's
// partition: it is not known when the first one came.
func (d *dialect) findUpstream(n int) string {
	q := "SELECT device, product, up_id, seq FROM upstream"
	if d.partitioned {
		const one = "(device = ? AND product = ? AND up_id = ?)"
		return q + " FORCE INDEX (upstream_device) WHERE " + one + strings.Repeat(" OR "+one, n-1)
	}
	return q + " WHERE (device, product, up_id) IN (VALUES " + tuples(n, 3) + ")"
}

// unsigned is a number of 64 bits as an argument: SQLite's integers have a sign.
func (d *dialect) unsigned(n uint64) any {
	if d.partitioned {
		return n
	}
	return int64(n)
}

// unsigned reads a number of 64 bits that unsigned wrote.
type unsigned uint64

// Scan implements sql.Scanner.
func (n *unsigned) Scan(v any) error {
	switch v := v.(type) {
	case int64:
		*n = unsigned(v)
	case uint64:
		*n = unsigned(v)
	case []byte: // MySQL's text protocol
		u, err := strconv.ParseUint(string(v), 10, 64)
		if err != nil {
			return err
		}
		*n = unsigned(u)
	default:
		return fmt.Errorf("%T is no number", v)
	}
	return nil
}
