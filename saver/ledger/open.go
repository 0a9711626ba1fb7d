package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/go-sql-driver/mysql"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

// Options say where the ledger is: Path of an SQLite file, else DSN of a MySQL
// database in the form of go-sql-driver/mysql.
type Options struct {
	Path    string
	DSN     string
	Timeout time.Duration // to connect, default 2 s
	// AheadDays is for how many days of expiry there are partitions, default 33:
	// a message lives 30 at most.
	AheadDays int
	// Silence is how long MySQL keeps a connection that says nothing, also in the
	// middle of a transaction, in whole seconds; default 60 s. The host of a saver
	// that loses its power leaves its locks to others after that; MySQL itself
	// would wait for 8 hours.
	Silence time.Duration
}

// Ledger is an open ledger. It is safe for use by many goroutines.
type Ledger struct {
	write *sql.DB // SQLite: one connection; MySQL: the same as read
	read  *sql.DB
	dialect
	opt Options

	deadlocks atomic.Uint64
}

// Open makes the ledger's handles; it does not connect yet.
func Open(o Options) (*Ledger, error) {
	if o.Timeout <= 0 {
		o.Timeout = 2 * time.Second
	}
	if o.AheadDays <= 0 {
		o.AheadDays = 33
	}
	if o.Silence <= 0 {
		o.Silence = time.Minute
	}
	if o.Path != "" {
		return openSQLite(o)
	}
	return openMySQL(o)
}

// openSQLite: a commit is on disk before it returns (WAL, synchronous FULL);
// there is one writer, and readers never wait for it.
func openSQLite(o Options) (*Ledger, error) {
	path, err := filepath.Abs(o.Path)
	if err != nil {
		return nil, err
	}
	// Messages are nobody else's business; SQLite gives its other files the same
	// mode. A file that cannot be made is reported by the first use, with the key.
	if f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600); err == nil {
		if err := f.Close(); err != nil {
			return nil, err
		}
	}
	dsn := func(extra string) string {
		q := "_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)" + extra
		return (&url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: q}).String()
	}
	l := &Ledger{dialect: sqlite, opt: o}
	if l.write, err = sql.Open("sqlite", dsn("&_txlock=immediate")); err != nil {
		return nil, err
	}
	l.write.SetMaxOpenConns(1)
	if l.read, err = sql.Open("sqlite", dsn("&_pragma=query_only(1)")); err != nil {
		return nil, errors.Join(err, l.write.Close())
	}
	l.read.SetMaxOpenConns(4)
	return l, nil
}

func openMySQL(o Options) (*Ledger, error) {
	cfg, err := mysql.ParseDSN(o.DSN)
	if err != nil {
		return nil, err
	}
	if cfg.DBName == "" {
		return nil, errors.New("the DSN names no database; write user:password@tcp(host:3306)/longlink")
	}
	cfg.InterpolateParams = true // one round trip a statement
	cfg.Timeout = o.Timeout
	if cfg.ReadTimeout == 0 {
		cfg.ReadTimeout = 30 * time.Second
	}
	if cfg.WriteTimeout == 0 {
		cfg.WriteTimeout = 10 * time.Second
	}
	if cfg.Params == nil {
		cfg.Params = map[string]string{}
	}
	// A value that does not fit is an error, never cut.
	cfg.Params["sql_mode"] = "'TRADITIONAL'"
	cfg.Params["wait_timeout"] = strconv.Itoa(int(o.Silence.Seconds()))
	// A statement that nobody waits for any more goes on waiting for its lock in
	// MySQL, on a connection that this pool does not count: by default for 50 s.
	cfg.Params["innodb_lock_wait_timeout"] = "10"
	cfg.Logger = &mysql.NopLogger{}
	conn, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(conn)
	db.SetMaxOpenConns(16)
	db.SetMaxIdleConns(16)
	db.SetConnMaxIdleTime(o.Silence / 2)
	return &Ledger{write: db, read: db, dialect: mysqlDialect, opt: o}, nil
}

// Ping is nil when the ledger answers.
func (l *Ledger) Ping(ctx context.Context) error { return l.read.PingContext(ctx) }

// Warnings are settings of the server that weaken what a commit means.
func (l *Ledger) Warnings(ctx context.Context) ([]string, error) {
	if !l.partitioned {
		return nil, nil
	}
	var flush int
	if err := l.read.QueryRowContext(ctx, "SELECT @@innodb_flush_log_at_trx_commit").Scan(&flush); err != nil {
		return nil, err
	}
	if flush != 1 {
		return []string{fmt.Sprintf("innodb_flush_log_at_trx_commit is %d: a crash of MySQL may lose accepted messages; set it to 1", flush)}, nil
	}
	return nil, nil
}

// Close ends the ledger.
func (l *Ledger) Close() error {
	err := l.write.Close()
	if l.read != l.write {
		err = errors.Join(err, l.read.Close())
	}
	return err
}
