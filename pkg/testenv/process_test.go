package testenv_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"longlink/pkg/testenv"
)

func start(t *testing.T, script string) (*testenv.Process, string) {
	t.Helper()
	log := filepath.Join(t.TempDir(), "log")
	p, err := testenv.Command{Path: "sh", Args: []string{"-c", script}, Log: log, Env: []string{"WORD=hello"}}.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Kill(); err != nil {
			t.Error(err)
		}
	})
	return p, log
}

func TestProcessLogsAndEnds(t *testing.T) {
	p, log := start(t, "echo $WORD; echo oops >&2; exit 3")
	if err := p.Wait(); err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("Wait: %v", err)
	}
	out, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	if string(out) != "hello\noops\n" {
		t.Errorf("the log holds %q", out)
	}
	if err := p.Kill(); err != nil {
		t.Errorf("Kill after the end: %v", err)
	}
}

func TestProcessStop(t *testing.T) {
	p, log := start(t, "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.01; done")
	await(t, "the trap is set", func() error {
		out, err := os.ReadFile(log)
		if err == nil && len(out) == 0 {
			return fmt.Errorf("nothing was printed")
		}
		return err
	})
	if err := p.Stop(); err != nil {
		t.Errorf("Stop: %v", err)
	}
	if out, _ := os.ReadFile(log); string(out) != "up\nbye\n" {
		t.Errorf("the log holds %q", out)
	}
}

func TestProcessKillTakesTheGroup(t *testing.T) {
	p, log := start(t, "sleep 1000 & echo $!; wait")
	var grandchild int
	await(t, "the pid of the grandchild", func() (err error) {
		out, _ := os.ReadFile(log)
		grandchild, err = strconv.Atoi(strings.TrimSpace(string(out)))
		return err
	})
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	awaitEnd(t, grandchild)
}

func TestProcessUnknownProgram(t *testing.T) {
	_, err := testenv.Command{Path: "no-such-program", Log: filepath.Join(t.TempDir(), "log")}.Start()
	if err == nil || !strings.Contains(err.Error(), "no-such-program") {
		t.Errorf("Start: %v", err)
	}
}

// A server must not outlive the process that started it, even if that had no
// chance to clean up.
func TestServerDiesWithItsParent(t *testing.T) {
	if runtime.GOOS != "linux" {
		return // only Linux can do it, doc.go says so
	}
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), parentEnv+"="+t.TempDir())
	parent.Stderr = os.Stderr
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if kill := parent.Process.Kill(); kill != nil {
		t.Fatal(kill)
	}
	if wait := parent.Wait(); wait == nil {
		t.Error("the parent ended by itself")
	}
	if err != nil {
		t.Fatalf("the parent printed no pid: %v", err)
	}
	server, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	awaitEnd(t, server)
}

// awaitEnd waits until a process that is not our child is gone, or is a
// zombie that nobody waits for.
func awaitEnd(t *testing.T, pid int) {
	t.Helper()
	await(t, fmt.Sprintf("the end of process %d", pid), func() error {
		if err := syscall.Kill(pid, 0); err == syscall.ESRCH {
			return nil
		}
		stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if strings.Contains(string(stat), ") Z ") {
			return nil
		}
		return fmt.Errorf("it lives: %.60s", stat)
	})
}

// await asks until there is no error, for 10 s.
func await(t *testing.T, what string, ask func() error) {
	t.Helper()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	deadline := time.After(10 * time.Second)
	for {
		err := ask()
		if err == nil {
			return
		}
		select {
		case <-poll.C:
		case <-deadline:
			t.Fatalf("waited for %s: %v", what, err)
		}
	}
}
