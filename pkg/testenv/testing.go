package testenv

import (
	"errors"
	"testing"
)

// Redis starts a redis-server for one test.
func Redis(t testing.TB, opts ...Option) *RedisServer {
	t.Helper()
	s, err := StartRedis(t.TempDir(), opts...)
	check(t, err)
	endWith(t, s.Server)
	return s
}

// MariaDB starts a mariadbd for one test.
func MariaDB(t testing.TB, opts ...Option) *MariaDBServer {
	t.Helper()
	s, err := StartMariaDB(t.TempDir(), opts...)
	check(t, err)
	endWith(t, s.Server)
	return s
}

// Etcd starts an etcd for one test.
func Etcd(t testing.TB, opts ...Option) *EtcdServer {
	t.Helper()
	s, err := StartEtcd(t.TempDir(), opts...)
	check(t, err)
	endWith(t, s.Server)
	return s
}

// NewDatabase makes an empty database for one test and returns its DSN.
func (s *MariaDBServer) NewDatabase(t testing.TB) string {
	t.Helper()
	dsn, err := s.nextDatabase(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return dsn
}

// check ends the test if its server could not be started: where the server's
// program is missing and nobody requires it, as skipped.
func check(t testing.TB, err error) {
	t.Helper()
	var missing *MissingError
	switch {
	case err == nil:
	case errors.As(err, &missing) && !storesRequired():
		t.Skip(err)
	default:
		t.Fatal(err)
	}
}

// endWith kills the server when the test ends.
func endWith(t testing.TB, s *Server) {
	showLog(t, s)
	t.Cleanup(func() {
		if err := s.Kill(); err != nil {
			t.Errorf("end %s: %v", s.name, err)
		}
	})
}

// showLog puts the end of the server's log into the output of a failed test.
func showLog(t testing.TB, s *Server) {
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(s.LogTail())
		}
	})
}
