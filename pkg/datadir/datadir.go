// Package datadir is the layout of the directory in which an embedded gateway
// keeps its state and leaves what local client commands need: addresses and
// keys.
package datadir

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Dir is a data directory.
type Dir string

// Etcd is where the embedded member lives.
func (d Dir) Etcd() string { return filepath.Join(string(d), "etcd") }

// Ledger is the embedded SQLite file.
func (d Dir) Ledger() string { return filepath.Join(string(d), "ledger.db") }

// Devices is where `longlink device` keeps cursors.
func (d Dir) Devices() string { return filepath.Join(string(d), "devices") }

func (d Dir) file(name string) string { return filepath.Join(string(d), name) }

// Prepare makes the directory, for its owner only since it holds keys and
// messages, and proves that it can be written.
func (d Dir) Prepare() error {
	err := os.MkdirAll(string(d), 0o700)
	if err == nil {
		probe := d.file(".probe")
		if err = os.WriteFile(probe, nil, 0o600); err == nil {
			err = os.Remove(probe)
		}
	}
	if err != nil {
		return fmt.Errorf("data directory %s cannot be written: %w; choose another with --data DIR", d, unwrapPath(err))
	}
	return nil
}

func unwrapPath(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// EnsureKey reads NAME.key, or stores what newKey makes: before the gateway
// is told of it, so that a crash never leaves a key that nobody knows.
func (d Dir) EnsureKey(name string, newKey func() string) (string, error) {
	key, err := d.Key(name)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	key = newKey()
	return key, writeAtomic(d.file(name+".key"), []byte(key+"\n"), 0o600)
}

// Key reads NAME.key; fs.ErrNotExist when there is none.
func (d Dir) Key(name string) (string, error) {
	b, err := os.ReadFile(d.file(name + ".key"))
	if err != nil {
		return "", err
	}
	key := strings.TrimSpace(string(b))
	if key == "" {
		return "", fmt.Errorf("%s is empty; delete it and start the gateway again", d.file(name+".key"))
	}
	return key, nil
}

// Endpoints is what a running gateway tells local client commands.
type Endpoints struct {
	PID        int      `json:"pid"`
	Center     string   `json:"center"`     // URL
	Dispatcher string   `json:"dispatcher"` // URL
	Ops        string   `json:"ops"`        // URL
	Rooms      []string `json:"rooms"`      // host:port
	// All of them, when there are several; the ones above are the first.
	Centers     []string `json:"centers,omitempty"`
	Dispatchers []string `json:"dispatchers,omitempty"`
}

// AllCenters are the centers to try, in order.
func (e Endpoints) AllCenters() []string {
	if len(e.Centers) > 0 {
		return e.Centers
	}
	return []string{e.Center}
}

// AllDispatchers are the dispatchers to try, in order.
func (e Endpoints) AllDispatchers() []string {
	if len(e.Dispatchers) > 0 {
		return e.Dispatchers
	}
	return []string{e.Dispatcher}
}

// WriteEndpoints stores endpoints.json; it stays after the gateway's end, so
// that a command started before a restart finds the same addresses.
func (d Dir) WriteEndpoints(e Endpoints) error {
	b, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return err
	}
	return writeAtomic(d.file("endpoints.json"), append(b, '\n'), 0o644)
}

// Endpoints reads endpoints.json; fs.ErrNotExist when no gateway ever ran here.
func (d Dir) Endpoints() (e Endpoints, err error) {
	b, err := os.ReadFile(d.file("endpoints.json"))
	if err != nil {
		return e, err
	}
	if err := json.Unmarshal(b, &e); err != nil {
		return e, fmt.Errorf("%s: %w; start the gateway again to rewrite it", d.file("endpoints.json"), err)
	}
	return e, nil
}

func writeAtomic(path string, b []byte, mode fs.FileMode) error {
	tmp := path + ".new"
	if err := os.WriteFile(tmp, b, mode); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}
