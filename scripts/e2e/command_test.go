package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"longlink/pkg/cluster"
	"longlink/scripts/clusterctl/local"
)

// clusterCommand runs scripts/cluster as a user would, and wants an exit code.
func clusterCommand(t *testing.T, exit int, args ...string) string {
	t.Helper()
	cmd := exec.Command("../cluster", args...)
	out, err := cmd.CombinedOutput()
	if got := cmd.ProcessState.ExitCode(); got != exit {
		t.Fatalf("scripts/cluster %s: exit code %d, want %d (%v)\n%s", strings.Join(args, " "), got, exit, err, out)
	}
	return string(out)
}

// TestClusterCommand is the tour of scripts/cluster: everything that up started
// outlives it, is shown, can be killed and started one by one, keeps what it was
// asked to keep, and is gone after down.
func TestClusterCommand(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "c")
	in := func(args ...string) []string { return append(args, "--dir", dir) }
	up := in("up", "--binary", binary, "--count", "1", "--port-base", fmt.Sprint(freeBase(t, 2)))
	t.Cleanup(func() {
		if _, err := os.Stat(filepath.Join(dir, "cluster.json")); err == nil {
			clusterCommand(t, 0, in("down")...)
		}
	})
	longlink := func(args ...string) (string, error) {
		out, err := exec.Command(binary, append(args, "--data", dir)...).CombinedOutput()
		return string(out), err
	}
	listed := func(kind string, want int) {
		t.Helper()
		await(t, fmt.Sprintf("longlink services to list %d %s", want, kind), 20*time.Second, func() error {
			out, err := longlink("services")
			if n := strings.Count(out, "\n"+kind+" "); err == nil && n != want {
				err = fmt.Errorf("it lists %d:\n%s", n, out)
			}
			return err
		})
	}

	clusterCommand(t, 1, in("status")...)
	clusterCommand(t, 2, in("up", "--count", "99")...)
	clusterCommand(t, 2, in("kill", "nobody")...)
	out := clusterCommand(t, 0, up...)
	for _, want := range []string{"operator.key", "longlink", "device --id phone-1", "push --product demo"} {
		if !strings.Contains(out, want) {
			t.Errorf("up printed no %q:\n%s", want, out)
		}
	}
	clusterCommand(t, 1, up...)
	for _, kind := range cluster.Kinds {
		listed(string(kind), 1)
	}
	if out, err := longlink("push", "--product", "demo", "--device", "phone-1", "--text", "before"); err != nil || !strings.Contains(out, "stored") {
		t.Errorf("push: %v\n%s", err, out)
	}

	clusterCommand(t, 0, in("kill", "register", "1", "-9")...)
	if out := clusterCommand(t, 1, in("status")...); !strings.Contains(out, "1 of the processes are not") {
		t.Errorf("status after a kill:\n%s", out)
	}
	clusterCommand(t, 0, in("start", "register", "1")...)
	clusterCommand(t, 1, in("start", "register", "1")...)
	clusterCommand(t, 0, in("start", "register", "2")...)
	listed("register", 2)
	clusterCommand(t, 0, in("kill", "register", "2")...)
	listed("register", 1)
	clusterCommand(t, 0, in("start", "register", "2")...)
	clusterCommand(t, 0, in("kill", "redis", "-9")...)
	clusterCommand(t, 0, in("start", "redis")...)
	clusterCommand(t, 0, in("status")...)

	nodes, err := local.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	clusterCommand(t, 0, in("down", "--keep-data")...)
	if err := nodesGone(nodes); err != nil {
		t.Error(err)
	}
	clusterCommand(t, 0, up...)
	phone := newDevice(t, binary, "phone-1", "--data", dir)
	phone.Start()
	if m := phone.AwaitMessages(1); m[0].Text != "before" {
		t.Errorf("after down and up the device got %+v", m)
	}
	phone.Stop()
	clusterCommand(t, 0, in("down")...)
	clusterCommand(t, 1, in("down")...)
	left, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range left {
		if f.Name() != "logs" && f.Name() != ".lock" {
			t.Errorf("down left %s", f.Name())
		}
	}
}

func nodesGone(c *local.Cluster) error {
	for _, p := range c.Processes() {
		if p.Alive() {
			return fmt.Errorf("%s (pid %d) is alive", p.Name(), p.PID)
		}
	}
	return nil
}
