package testenv

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// Shared holds servers that all tests of one package use, each started when a
// test first asks for it. The zero value is ready; Main ends what it started.
// Tests must keep apart by themselves: a database each, a key prefix each. A
// test that kills its server takes one of its own instead.
type Shared struct {
	mu      sync.Mutex
	dir     string
	redis   once[*RedisServer]
	mariadb once[*MariaDBServer]
	etcd    once[*EtcdServer]
}

// once is the result of a start that is tried a single time.
type once[S any] struct {
	tried  bool
	server S
	err    error
}

// Main runs the tests, then ends the servers and removes their data; it
// returns the status for os.Exit.
func (s *Shared) Main(m *testing.M) int { return s.Around(m).Run() }

// Around is Main in the form that goleak.VerifyTestMain takes, so that it
// looks for leaks when the servers have ended.
func (s *Shared) Around(m *testing.M) Tests { return Tests{shared: s, m: m} }

// Tests are the tests of one package with the servers that they share.
type Tests struct {
	shared *Shared
	m      *testing.M
}

// Run is Main.
func (t Tests) Run() int {
	status := t.m.Run()
	if err := t.shared.Close(); err != nil {
		fmt.Fprintln(os.Stderr, "end the shared servers:", err)
		return 1
	}
	return status
}

// Redis returns the shared redis-server; it was started without AOF.
func (s *Shared) Redis(t testing.TB) *RedisServer {
	t.Helper()
	server, err := share(s, &s.redis, "redis", StartRedis)
	check(t, err)
	showLog(t, server.Server)
	return server
}

// MariaDB returns the shared mariadbd; NewDatabase gives a test its own place.
func (s *Shared) MariaDB(t testing.TB) *MariaDBServer {
	t.Helper()
	server, err := share(s, &s.mariadb, "mariadb", StartMariaDB)
	check(t, err)
	showLog(t, server.Server)
	return server
}

// Etcd returns the shared etcd.
func (s *Shared) Etcd(t testing.TB) *EtcdServer {
	t.Helper()
	server, err := share(s, &s.etcd, "etcd", StartEtcd)
	check(t, err)
	showLog(t, server.Server)
	return server
}

// Close kills the servers and removes their data.
func (s *Shared) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	if s.redis.server != nil {
		errs = append(errs, s.redis.server.Kill())
	}
	if s.mariadb.server != nil {
		errs = append(errs, s.mariadb.server.Kill())
	}
	if s.etcd.server != nil {
		errs = append(errs, s.etcd.server.Kill())
	}
	if s.dir != "" {
		errs = append(errs, os.RemoveAll(s.dir))
	}
	s.dir, s.redis, s.mariadb, s.etcd = "", once[*RedisServer]{}, once[*MariaDBServer]{}, once[*EtcdServer]{}
	return errors.Join(errs...)
}

// share starts a server in a directory of its own, or returns the one that was
// started before.
func share[S any](s *Shared, o *once[S], name string, start func(string, ...Option) (S, error)) (S, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o.tried {
		return o.server, o.err
	}
	o.tried = true
	if s.dir == "" {
		if s.dir, o.err = os.MkdirTemp("", "longlink-test-*"); o.err != nil {
			return o.server, o.err
		}
	}
	dir := filepath.Join(s.dir, name)
	if o.err = os.Mkdir(dir, 0o700); o.err == nil {
		o.server, o.err = start(dir)
	}
	return o.server, o.err
}
