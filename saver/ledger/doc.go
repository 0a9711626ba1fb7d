// Package ledger is the durable record of every accepted message: MySQL in
// production, SQLite in the embedded gateway, the same database/sql code over
// both. Redis serves; the ledger is read to recover, and for rare calls by id.
//
// Rows of messages are written once, in group commits, and change only their
// state. They are keyed (slot, seq, expiry day) and go away by whole days after
// they expired. docs/storage.md describes the tables.
package ledger

import (
	"fmt"
	"time"
)

// State is what has become of a message, as far as the ledger must know: an
// acknowledged message stays Live, with its lane's cursor above it.
type State int

// States; the numbers are stored.
const (
	Live     State = 0
	Recalled State = 1 // its sender took it back
	// Void: the Redis run changed between the append and the commit, and the
	// caller was told UNKNOWN. A retry with its dedup_id may revive it.
	Void State = 2
	// Replaced is only written where the row of the message that took its
	// collapse key goes away before this one does.
	Replaced     State = 3
	DeadLettered State = 4
)

// Key is the primary key of a message.
type Key struct {
	Slot      uint16
	Seq       uint64
	ExpiryDay int
}

// Row is one message.
type Row struct {
	Slot        uint16
	Seq         uint64
	Product     string
	Device      string
	ID          string
	AcceptedMS  int64
	ExpiresMS   int64
	DedupID     string
	CollapseKey string
	State       State
	Body        []byte // api.Message
}

// Key is the row's primary key.
func (r Row) Key() Key { return Key{r.Slot, r.Seq, DayOf(r.ExpiresMS)} }

// DayOf is the day, since 1970 in UTC, of a Unix time in milliseconds.
func DayOf(ms int64) int { return int(ms / (24 * time.Hour).Milliseconds()) }

// Cursor is how far one lane has been consumed.
type Cursor struct {
	Slot            uint16
	Product, Device string
	Acked           uint64
}

// SchemaError says that the ledger was written by a newer program.
type SchemaError struct{ Have, Known int64 }

func (e *SchemaError) Error() string {
	return fmt.Sprintf("the ledger has schema %d, this program knows %d; start the newer version again", e.Have, e.Known)
}
