package testenv

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"sync/atomic"

	"github.com/go-sql-driver/mysql"
)

// MariaDBServer is a mariadbd whose user root has no password and which
// commits to disk at each transaction, as the ledger demands.
type MariaDBServer struct {
	*Server
	Addr      string // host:port
	databases atomic.Int64
}

// StartMariaDB starts a mariadbd with its data in dir, which must exist; the
// data of an earlier one there are used again. The first start of all on a
// machine takes half a second longer: it makes the template that later ones
// copy.
func StartMariaDB(dir string, opts ...Option) (*MariaDBServer, error) {
	path, err := find("mariadbd", "mariadb-server-core")
	if err != nil {
		return nil, err
	}
	as, err := runAs()
	if err != nil {
		return nil, err
	}
	data := filepath.Join(dir, "mariadb")
	if _, err := os.Stat(data); errors.Is(err, fs.ErrNotExist) {
		if err := copyTemplate(data, path, as); err != nil {
			return nil, fmt.Errorf("prepare the data of mariadbd: %w", err)
		}
	}
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	args := append([]string{
		// At its start each server deletes the temporary tables that it finds: in a
		// directory that others use, too, also theirs.
		"--no-defaults", "--datadir=" + data, "--tmpdir=" + dir,
		"--bind-address=127.0.0.1", "--port=" + strconv.Itoa(port),
		// Relative to the data directory: the path of a socket may have 107 bytes.
		"--socket=mariadb.sock", "--pid-file=mariadb.pid",
		"--character-set-server=utf8mb4", "--collation-server=utf8mb4_unicode_ci",
		"--innodb-flush-log-at-trx-commit=1", "--innodb-buffer-pool-size=64M", innodbLogSize,
		"--skip-log-bin", "--skip-name-resolve", "--performance-schema=OFF",
	}, as...)
	s := &MariaDBServer{Addr: loopback(port)}
	s.Server, err = newServer("mariadbd", dir, Command{Path: path, Args: append(args, join(opts).args...)},
		func(ctx context.Context) error { return s.exec(ctx, "DO 1") })
	if err != nil {
		return nil, err
	}
	return s, nil
}

// DSN names a database in the form of github.com/go-sql-driver/mysql: times
// are time.Time in UTC, parameters are filled in by the driver.
func (s *MariaDBServer) DSN(dbname string) string { return s.config(dbname).FormatDSN() }

// CreateDatabase makes an empty database; it is an error if there is one of
// that name.
func (s *MariaDBServer) CreateDatabase(ctx context.Context, dbname string) error {
	return s.exec(ctx, "CREATE DATABASE `"+dbname+"`")
}

// nextDatabase makes an empty database of a new name and returns its DSN.
func (s *MariaDBServer) nextDatabase(ctx context.Context) (string, error) {
	name := fmt.Sprintf("test%d", s.databases.Add(1))
	if err := s.CreateDatabase(ctx, name); err != nil {
		return "", fmt.Errorf("create database %s: %w", name, err)
	}
	return s.DSN(name), nil
}

func (s *MariaDBServer) config(dbname string) *mysql.Config {
	cfg := mysql.NewConfig()
	cfg.User = "root"
	cfg.Net = "tcp"
	cfg.Addr = s.Addr
	cfg.DBName = dbname
	cfg.ParseTime = true
	cfg.InterpolateParams = true
	return cfg
}

// exec runs one statement on a connection of its own.
func (s *MariaDBServer) exec(ctx context.Context, statement string) error {
	cfg := s.config("")
	cfg.Logger = &mysql.NopLogger{} // a server that is starting refuses a few times
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return err
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	_, err = db.ExecContext(ctx, statement)
	return err
}

// runAs returns the flag without which MariaDB refuses to run as root.
func runAs() ([]string, error) {
	u, err := user.Current()
	if err != nil {
		return nil, err
	}
	if u.Uid != "0" {
		return nil, nil
	}
	return []string{"--user=" + u.Username}, nil
}
