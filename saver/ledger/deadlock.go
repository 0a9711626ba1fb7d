package ledger

import (
	"context"
	"errors"

	"github.com/go-sql-driver/mysql"
)

// deadlockTries is how often a transaction is tried that is a deadlock's victim
// each time.
const deadlockTries = 4

// again runs a transaction, and up to three times more when it was rolled back
// to end a deadlock. That is the one failure of which it is certain that nothing
// was stored and that another try may well succeed; a lock wait that timed out
// undoes only its statement, and a lost connection tells nothing.
func (l *Ledger) again(ctx context.Context, transaction func() error) (err error) {
	for range deadlockTries {
		if err = transaction(); err == nil || ctx.Err() != nil || !isDeadlock(err) {
			return err
		}
		l.deadlocks.Add(1)
	}
	return err
}

// isDeadlock is true for MySQL's ER_LOCK_DEADLOCK.
func isDeadlock(err error) bool {
	var e *mysql.MySQLError
	return errors.As(err, &e) && e.Number == 1213
}

// Deadlocks is how often a transaction of this ledger was a deadlock's victim.
func (l *Ledger) Deadlocks() uint64 { return l.deadlocks.Load() }
