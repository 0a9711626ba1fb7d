package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"longlink/pkg/cluster"
	"longlink/pkg/datadir"
	"longlink/pkg/token"
)

const (
	stateFile  = "cluster.json"
	configFile = "longlink.yaml"
)

// state is cluster.json.
type state struct {
	Binary    string     `json:"binary"`
	Base      int        `json:"port_base"`
	Stores    Stores     `json:"stores"`
	Processes []*Process `json:"processes"`
}

// Stores are the addresses of what the services keep their data in.
type Stores struct {
	Etcd  string `json:"etcd"`  // a client URL
	Redis string `json:"redis"` // host:port
	DSN   string `json:"dsn"`   // of the ledger's database
}

// ErrNone means that no cluster runs in the directory.
var ErrNone = errors.New("no cluster runs in this directory: name another with --dir DIR, or start one with scripts/cluster up")

// Open finds the cluster that Detached processes of another command are;
// ErrNone when there is none.
func Open(dir string) (*Cluster, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	c := &Cluster{dir: datadir.Dir(dir), launch: Detached}
	if err := readJSON(c.path(stateFile), &c.state); errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNone
	} else if err != nil {
		return nil, err
	}
	return c, nil
}

// save writes cluster.json and endpoints.json, which names the centers
// and dispatchers that run. The caller holds mu.
func (c *Cluster) save() error {
	var e datadir.Endpoints
	for _, p := range c.state.Processes {
		if !p.Alive() {
			continue
		}
		switch cluster.Kind(p.Kind) {
		case cluster.Center:
			e.Centers = append(e.Centers, p.Addr)
			if e.Center == "" {
				e.Center, e.PID = p.Addr, p.PID
				e.Ops = "http://" + p.Ops()
			}
		case cluster.Dispatcher:
			e.Dispatchers = append(e.Dispatchers, p.Addr)
			if e.Dispatcher == "" {
				e.Dispatcher = p.Addr
			}
		case cluster.Room:
			e.Rooms = append(e.Rooms, strings.Split(p.Addr, ",")...)
		}
	}
	if e.Center != "" && e.Dispatcher != "" {
		if err := c.dir.WriteEndpoints(e); err != nil {
			return err
		}
	}
	return writeJSON(c.path(stateFile), c.state)
}

// writeConfig writes the one config of all processes.
func (c *Cluster) writeConfig() error {
	key, err := c.dir.EnsureKey("operator", func() string { k, _ := token.NewOperatorKey(time.Now()); return k })
	if err != nil {
		return err
	}
	s := c.state.Stores
	yaml := fmt.Sprintf(`cluster:
  operator_key: %q
keeper:
  endpoints: [%q]
saver:
  redis:
    mode: single
    addr: %q
  ledger:
    driver: mysql
    dsn: %q
`, key, s.Etcd, s.Redis, s.DSN)
	return os.WriteFile(c.path(configFile), []byte(yaml), 0o600)
}

// OperatorKey is the key in DIR/operator.key.
func (c *Cluster) OperatorKey() (string, error) { return c.dir.Key("operator") }

// Remove deletes what a cluster has written in a directory, but for its logs;
// with keepData only what names processes. Nothing may run.
func Remove(dir string, keepData bool) error {
	names := []string{stateFile, "endpoints.json", storesFile}
	if !keepData {
		names = append(names, configFile, "operator.key", "demo.key", "devices", "bin", storesDir)
	}
	var errs []error
	for _, name := range names {
		errs = append(errs, os.RemoveAll(filepath.Join(dir, name)))
	}
	return errors.Join(errs...)
}

// Lock makes sure that one command at a time changes the cluster of a
// directory; ErrNone when there is no such directory. It waits for no one.
func Lock(dir string) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(dir, ".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNone
	}
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("another scripts/cluster command works on %s: wait for its end", dir), f.Close())
	}
	return func() { f.Close() }, nil
}

func readJSON(path string, v any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func writeJSON(path string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", append(b, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
