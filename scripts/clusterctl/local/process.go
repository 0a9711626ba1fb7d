package local

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"longlink/pkg/app"
	"longlink/pkg/cluster"
	"longlink/pkg/testenv"
)

// host is where everything listens.
const host = "127.0.0.1"

// Times that bound an end.
const (
	stopGrace = 15 * time.Second // SIGTERM to exit; then it is killed
	killGrace = 10 * time.Second // SIGKILL to gone
	pollEvery = 20 * time.Millisecond
)

// Process is one process, also while it does not run. PID and Born are those of
// its latest run.
type Process struct {
	Kind string `json:"kind"` // a service, or etcd, redis, mariadb, stores
	N    int    `json:"n"`    // 1 and up
	Base int    `json:"port_base,omitempty"`
	PID  int    `json:"pid"`
	// Born is the kernel's start time of PID, which tells the process from a
	// later one with the same number; empty where there is no /proc.
	Born string `json:"born,omitempty"`
	Addr string `json:"addr,omitempty"` // for outsiders, else for the other services
	Log  string `json:"log"`

	child *testenv.Process // set when this program started it as its child
}

// Name is KIND-N.
func (p *Process) Name() string { return p.Kind + "-" + strconv.Itoa(p.N) }

func (p *Process) ports() app.Ports { return app.Ports{Host: host, Base: p.Base} }

// Ops is the address of /readyz; empty for a store.
func (p *Process) Ops() string {
	if p.Base == 0 {
		return ""
	}
	return p.ports().Ops([]cluster.Kind{cluster.Kind(p.Kind)})
}

// RPC is the address for the other services.
func (p *Process) RPC() string { return p.ports().RPC(cluster.Kind(p.Kind)) }

// Alive says whether the latest run has not ended.
func (p *Process) Alive() bool {
	if p.PID <= 0 {
		return false
	}
	if p.child != nil {
		select {
		case <-p.child.Done():
			return false
		default:
			return true
		}
	}
	if err := syscall.Kill(p.PID, 0); err != nil && !errors.Is(err, syscall.EPERM) {
		return false
	}
	if p.Born == "" {
		return true
	}
	born, dead := birth(p.PID)
	return !dead && born == p.Born
}

// birth reads a process's start time, in clock ticks since boot, from
// /proc/PID/stat (proc(5), fields 3 and 22); dead is true for one that has
// ended and only waits to be reaped. Empty where there is no such file.
func birth(pid int) (born string, dead bool) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", false
	}
	// The second field is the name in brackets and may hold anything.
	_, rest, ok := strings.Cut(string(b[strings.LastIndexByte(string(b), ')')+1:]), " ")
	f := strings.Fields(rest)
	if !ok || len(f) < 20 {
		return "", false
	}
	return f[19], f[0] == "Z" || f[0] == "X"
}

// Signal sends a signal to the process, and only to it; one that has ended is
// no error.
func (p *Process) Signal(sig syscall.Signal) error {
	if !p.Alive() {
		return nil
	}
	if err := syscall.Kill(p.PID, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("signal %s (pid %d): %w", p.Name(), p.PID, err)
	}
	return nil
}

// Kill ends the process with SIGKILL and returns when it is gone.
func (p *Process) Kill() error {
	if err := p.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	if !p.gone(killGrace) {
		return fmt.Errorf("%s (pid %d) is there %s after SIGKILL", p.Name(), p.PID, killGrace)
	}
	return nil
}

// Stop ends the process with SIGTERM. It is an error, and the process is
// killed, when it takes longer than 15 s; for a child of this program also
// when its exit status is not 0.
func (p *Process) Stop() error {
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	if !p.gone(stopGrace) {
		if err := p.Kill(); err != nil {
			return err
		}
		return fmt.Errorf("%s did not end within %s of SIGTERM and was killed; its log is %s", p.Name(), stopGrace, p.Log)
	}
	if p.child != nil {
		if err := p.child.Wait(); err != nil {
			return fmt.Errorf("%s after SIGTERM: %w; its log is %s", p.Name(), err, p.Log)
		}
	}
	return nil
}

func (p *Process) gone(within time.Duration) bool {
	for end := time.Now().Add(within); p.Alive(); {
		if time.Now().After(end) {
			return false
		}
		time.Sleep(pollEvery)
	}
	return true
}

// Tail is the end of the log.
func (p *Process) Tail() string {
	const limit = 2000
	b, err := os.ReadFile(p.Log)
	if err != nil {
		return err.Error()
	}
	if len(b) > limit {
		b = b[len(b)-limit:]
		if line := strings.IndexByte(string(b), '\n'); line >= 0 {
			b = b[line+1:]
		}
	}
	return string(b)
}
