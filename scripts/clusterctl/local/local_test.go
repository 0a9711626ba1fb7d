package local

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"longlink/pkg/testenv"
)

// sleeper is a process of the kind saver that is not one.
func sleeper(t *testing.T, launch Launch, script string) *Process {
	t.Helper()
	p := &Process{Kind: "saver", N: 1, Base: 7000, Log: filepath.Join(t.TempDir(), "log")}
	if err := launch(p, testenv.Command{Path: "sh", Args: []string{"-c", script}, Log: p.Log}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Kill() })
	return p
}

func TestProcessEnds(t *testing.T) {
	for name, launch := range map[string]Launch{"child": Child, "detached": Detached} {
		t.Run(name, func(t *testing.T) {
			p := sleeper(t, launch, "sleep 60")
			if !p.Alive() {
				t.Fatal("it does not run")
			}
			if err := p.Kill(); err != nil || p.Alive() {
				t.Errorf("after Kill: %v, alive %v", err, p.Alive())
			}
			if err := p.Kill(); err != nil {
				t.Errorf("a second Kill: %v", err)
			}
			p = sleeper(t, launch, "trap 'exit 0' TERM; echo set; while :; do sleep 0.05; done")
			awaitLog(t, p, "set")
			if err := p.Stop(); err != nil || p.Alive() {
				t.Errorf("after Stop: %v, alive %v", err, p.Alive())
			}
		})
	}
	p := sleeper(t, Child, "trap 'exit 3' TERM; echo set; while :; do sleep 0.05; done")
	awaitLog(t, p, "set")
	if err := p.Stop(); err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("Stop of a child that fails: %v", err)
	}
}

func awaitLog(t *testing.T, p *Process, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	err := poll(ctx, want, func() (error, bool) {
		if b, _ := os.ReadFile(p.Log); strings.Contains(string(b), want) {
			return nil, true
		}
		return errors.New("not yet"), false
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestOtherProcess: a pid that has been given to somebody else is not ours, and
// gets no signal.
func TestOtherProcess(t *testing.T) {
	p := sleeper(t, Child, "sleep 60")
	if p.Born == "" {
		t.Log("no /proc here: pids are trusted")
		return
	}
	other := &Process{Kind: "saver", N: 2, PID: p.PID, Born: p.Born + "0"}
	if other.Alive() {
		t.Error("a process with another birth counts as alive")
	}
	if err := other.Kill(); err != nil || !p.Alive() {
		t.Errorf("Kill of a process that is gone: %v; its successor is alive: %v", err, p.Alive())
	}
}

func TestAwaitReadyNamesTheLog(t *testing.T) {
	p := sleeper(t, Child, "echo no room at the inn; exit 1")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	err := p.AwaitReady(ctx)
	if err == nil || !strings.Contains(err.Error(), "no room at the inn") || !strings.Contains(err.Error(), p.Log) {
		t.Errorf("%v", err)
	}
}

func TestPorts(t *testing.T) {
	for _, c := range []struct {
		base, count int
		ok          bool
	}{{7000, 2, true}, {0, 1, false}, {-5, 1, false}, {64536, 1, true}, {64537, 1, false}, {63536, 2, true}, {63537, 2, false}} {
		if err := CheckBase(c.base, c.count); (err == nil) != c.ok {
			t.Errorf("CheckBase(%d, %d): %v", c.base, c.count, err)
		}
	}
	port, err := testenv.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", port))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := CheckPorts(port-200, 1); err == nil || !strings.Contains(err.Error(), "--port-base") {
		t.Errorf("a taken port: %v", err)
	}
}

// TestStateIsFoundAgain: another command finds the processes by their file, and
// Remove leaves the logs.
func TestStateIsFoundAgain(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(dir); !errors.Is(err, ErrNone) {
		t.Errorf("Open of an empty directory: %v", err)
	}
	stores := Stores{Etcd: "http://127.0.0.1:1", Redis: "127.0.0.1:2", DSN: "root@tcp(127.0.0.1:3)/x"}
	made, err := New(Config{Dir: dir, Binary: "longlink", Count: 2, Base: 7000, Stores: stores, Launch: Detached})
	if err != nil {
		t.Fatal(err)
	}
	found, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := len(found.Processes()), len(made.Processes()); got != want || want != 14 {
		t.Errorf("%d processes found of %d", got, want)
	}
	if p, ok := found.Get("room", 2); !ok || p.Addr != "127.0.0.1:8001,127.0.0.1:8002" || p.Ops() != "127.0.0.1:8906" || p.Alive() {
		t.Errorf("room 2: %+v", p)
	}
	if _, err := found.Add("register", 3); err != nil || len(found.Of("register")) != 3 {
		t.Errorf("a third register: %v", err)
	}
	if _, err := found.Add("nobody", 1); err == nil {
		t.Error("a service nobody was added")
	}
	if err := Remove(dir, false); err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(left) != 1 || filepath.Base(left[0]) != "logs" {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestLockIsExclusive(t *testing.T) {
	dir := t.TempDir()
	unlock, err := Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(dir); err == nil {
		t.Error("locked twice")
	}
	unlock()
	unlock, err = Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}
