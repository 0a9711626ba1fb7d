package ledger

import "github.com/pressly/goose/v3"

// dialect is where the two databases differ. Everything else is plain SQL with
// `?` that both understand.
type dialect struct {
	partitioned bool // by expiry day, dropped whole; else rows are deleted
	goose       goose.Dialect
	migrations  string // directory

	// Behind a SELECT whose rows, and the places between them, nobody else may
	// change before the transaction ends. SQLite's has the whole ledger.
	forUpdate string

	// Behind INSERT INTO messages: a row that is there stays, a void one lives
	// again. A live one takes the state_ms that comes, by which Void knows that
	// it was confirmed. The assignments run from left to right.
	keepOrRevive string
	// Behind INSERT INTO cursors: a cursor only grows, and only then it changed.
	raiseCursor string
}

var (
	mysqlDialect = dialect{
		partitioned: true, goose: goose.DialectMySQL, migrations: "migrations/mysql", forUpdate: " FOR UPDATE",
		keepOrRevive: " ON DUPLICATE KEY UPDATE state_ms = IF(state IN (0, 2), VALUES(state_ms), state_ms), state = IF(state = 2, 0, state)",
		raiseCursor:  " ON DUPLICATE KEY UPDATE day = VALUES(day), changed_ms = IF(VALUES(acked) > acked, VALUES(changed_ms), changed_ms), acked = GREATEST(acked, VALUES(acked))",
	}
	sqlite = dialect{
		goose: goose.DialectSQLite3, migrations: "migrations/sqlite",
		keepOrRevive: " ON CONFLICT (slot, seq, expiry_day) DO UPDATE SET state = 0, state_ms = excluded.state_ms WHERE state IN (0, 2)",
		raiseCursor:  " ON CONFLICT (slot, product, device) DO UPDATE SET day = excluded.day, changed_ms = CASE WHEN excluded.acked > acked THEN excluded.changed_ms ELSE changed_ms END, acked = MAX(acked, excluded.acked)",
	}
)
