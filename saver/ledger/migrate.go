package ledger

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

//go:embed migrations
var migrations embed.FS

// Migrate brings the schema forward, one process at a time; nothing ever goes
// back. A schema newer than this program is left as it is where the table
// schema_compat says, for each version that is too new, that this program can
// live with it (compat.go); else it is refused with a *SchemaError.
func (l *Ledger) Migrate(ctx context.Context) error {
	unlock, err := l.lock(ctx, "longlink_migrate", time.Minute)
	if err != nil {
		return err
	}
	return errors.Join(l.migrate(ctx), unlock())
}

func (l *Ledger) migrate(ctx context.Context) error {
	p, err := l.provider()
	if err != nil {
		return err
	}
	have, known, err := p.GetVersions(ctx)
	if err != nil {
		return err
	}
	if have > known {
		return l.livesWith(ctx, have, known)
	}
	_, err = p.Up(ctx)
	return err
}

// lock holds a name against other processes on the same ledger: GET_LOCK on a
// connection of its own, or a lock file beside the SQLite file.
func (l *Ledger) lock(ctx context.Context, name string, wait time.Duration) (unlock func() error, err error) {
	if !l.partitioned {
		return lockFile(l.opt.Path + "." + name)
	}
	conn, err := l.write.Conn(ctx)
	if err != nil {
		return nil, err
	}
	// It says nothing while the lock is held, however long a migration takes.
	if _, err := conn.ExecContext(ctx, "SET wait_timeout = 28800"); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	// The name is per server, the ledger a database: the lock carries both.
	var got sql.NullInt64
	err = conn.QueryRowContext(ctx, "SELECT GET_LOCK(CONCAT(?, '.', DATABASE()), ?)", name, int(wait.Seconds())).Scan(&got)
	if err == nil && got.Int64 != 1 {
		err = fmt.Errorf("another process has held the lock %s for %s", name, wait)
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return func() error {
		_, err := conn.ExecContext(context.WithoutCancel(ctx), "DO RELEASE_LOCK(CONCAT(?, '.', DATABASE()))", name)
		_, serr := conn.ExecContext(context.WithoutCancel(ctx), "SET wait_timeout = ?", int(l.opt.Silence.Seconds()))
		return errors.Join(err, serr, conn.Close())
	}, nil
}

func lockFile(path string) (func() error, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f.Close, nil // closing releases
}
