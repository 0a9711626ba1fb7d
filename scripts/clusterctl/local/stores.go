package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"longlink/pkg/testenv"
)

const (
	storesDir  = "stores"
	storesFile = "stores/stores.json"
	database   = "longlink"
)

// hosted is stores.json: what the host of the stores runs.
type hosted struct {
	Host    *Process   `json:"host"`
	Addrs   Stores     `json:"addresses"`
	Servers []*Process `json:"servers"` // etcd, redis, mariadb
}

// server is one of the stores inside the host.
type server struct {
	*testenv.Server
	seen *Process
}

// HostStores runs etcd, Redis and MariaDB with their data in DIR/stores, until
// ctx ends; it is the body of the process that RunStores starts. SIGHUP starts
// those again that have ended. If the host is killed, they die with it.
func HostStores(ctx context.Context, dir string) error {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	h := hosted{Host: &Process{Kind: storesDir, N: 1, PID: os.Getpid(), Log: filepath.Join(dir, "logs", "stores.log")}}
	h.Host.Born, _ = birth(h.Host.PID)
	servers, err := h.start(ctx, dir)
	defer func() {
		for _, s := range servers {
			if err := s.Stop(); err != nil {
				fmt.Fprintf(os.Stderr, "stop %s: %v\n", s.seen.Kind, err)
			}
		}
	}()
	if err != nil {
		return err
	}
	for {
		if err := writeJSON(filepath.Join(dir, storesFile), h); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-hup:
		}
		for _, s := range servers {
			if s.seen.Alive() {
				continue
			}
			if err := s.Start(); err != nil {
				fmt.Fprintln(os.Stderr, err)
				continue
			}
			s.note()
		}
	}
}

// start starts the three; what it returns runs, also beside an error.
func (h *hosted) start(ctx context.Context, dir string) (servers []server, err error) {
	add := func(kind, addr string, s *testenv.Server) {
		one := server{s, &Process{Kind: kind, N: 1, Addr: addr, Log: s.Log()}}
		one.note()
		servers = append(servers, one)
		h.Servers = append(h.Servers, one.seen)
	}
	in := func(name string) string { return filepath.Join(dir, storesDir, name) }
	for _, name := range []string{"etcd", "redis", "mariadb"} {
		if err := os.MkdirAll(in(name), 0o700); err != nil {
			return nil, err
		}
	}
	etcd, err := testenv.StartEtcd(in("etcd"))
	if err != nil {
		return servers, err
	}
	add("etcd", etcd.Endpoints[0], etcd.Server)
	redis, err := testenv.StartRedis(in("redis"), testenv.AOF())
	if err != nil {
		return servers, err
	}
	add("redis", redis.Addr, redis.Server)
	maria, err := testenv.StartMariaDB(in("mariadb"))
	if err != nil {
		return servers, err
	}
	add("mariadb", maria.Addr, maria.Server)
	if _, err := os.Stat(filepath.Join(in("mariadb"), "mariadb", database)); errors.Is(err, fs.ErrNotExist) {
		if err := maria.CreateDatabase(ctx, database); err != nil {
			return servers, fmt.Errorf("create the database of the ledger: %w", err)
		}
	}
	h.Addrs = Stores{Etcd: etcd.Endpoints[0], Redis: redis.Addr, DSN: maria.DSN(database)}
	return servers, nil
}

func (s server) note() {
	s.seen.PID = s.Pid()
	s.seen.Born, _ = birth(s.seen.PID)
}

// StoresRun is the running host of the stores of a directory.
type StoresRun struct{ hosted }

// StoresOf finds the host that runs in a directory; ok is false when none does.
func StoresOf(dir string) (run *StoresRun, ok bool) {
	run = &StoresRun{}
	if readJSON(filepath.Join(dir, storesFile), &run.hosted) != nil || !run.Host.Alive() {
		return nil, false
	}
	return run, true
}

// RunStores starts the stores, with the data that DIR/stores may hold, in a
// detached process, and returns when they answer. self is the program and the
// arguments that call HostStores.
func RunStores(ctx context.Context, dir string, self ...string) (*StoresRun, error) {
	for _, sub := range []string{"logs", storesDir} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return nil, err
		}
	}
	if err := os.Remove(filepath.Join(dir, storesFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	host := &Process{Kind: storesDir, N: 1, Log: filepath.Join(dir, "logs", "stores.log")}
	if err := Detached(host, testenv.Command{Path: self[0], Args: self[1:], Log: host.Log}); err != nil {
		return nil, err
	}
	var run *StoresRun
	err := poll(ctx, "the stores to answer", func() (error, bool) {
		var ok bool
		switch run, ok = StoresOf(dir); {
		case ok:
			return nil, true
		case !host.Alive():
			return fmt.Errorf("the stores did not start; the end of %s:\n%s", host.Log, host.Tail()), true
		}
		return errors.New("not yet"), false
	})
	if err != nil {
		return nil, errors.Join(err, host.Stop())
	}
	return run, nil
}

// Stores are the addresses.
func (r *StoresRun) Stores() Stores { return r.Addrs }

// Processes lists etcd, redis and mariadb.
func (r *StoresRun) Processes() []*Process { return r.Servers }

// Get finds one of them by its name.
func (r *StoresRun) Get(kind string) (*Process, bool) {
	for _, p := range r.Servers {
		if p.Kind == kind {
			return p, true
		}
	}
	return nil, false
}

// Start has the host start a store that has ended, and returns when it
// answers.
func (r *StoresRun) Start(ctx context.Context, dir, kind string) error {
	p, ok := r.Get(kind)
	switch {
	case !ok:
		return fmt.Errorf("no store %q: there are etcd, redis, mariadb", kind)
	case p.Alive():
		return fmt.Errorf("%s runs already (pid %d)", kind, p.PID)
	}
	if err := r.Host.Signal(syscall.SIGHUP); err != nil {
		return err
	}
	return poll(ctx, kind+" to answer again", func() (error, bool) {
		now, ok := StoresOf(dir)
		if !ok {
			return fmt.Errorf("the host of the stores has ended; the end of %s:\n%s", r.Host.Log, r.Host.Tail()), true
		}
		if p, ok := now.Get(kind); ok && p.Alive() {
			*r = *now
			return nil, true
		}
		return fmt.Errorf("see %s and %s", p.Log, r.Host.Log), false
	})
}

// Stop ends the stores and their host, and keeps their logs in DIR/logs.
func (r *StoresRun) Stop(dir string) error {
	err := r.Host.Stop()
	for _, p := range r.Servers {
		err = errors.Join(err, os.Rename(p.Log, filepath.Join(dir, "logs", p.Kind+".log")))
	}
	return err
}

// answers says whether a store takes connections.
func (p *Process) answers() error {
	conn, err := net.DialTimeout("tcp", strings.TrimPrefix(p.Addr, "http://"), 2*time.Second)
	if err != nil {
		return err
	}
	return conn.Close()
}
