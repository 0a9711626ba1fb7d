package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"longlink/pkg/testenv"
)

// TestBadStart: a start that cannot work ends by itself, with exit code 1 or 2
// and one sentence that names what is wrong and what to do.
func TestBadStart(t *testing.T) {
	base := freeBase(t, 1)
	taken, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", base+200))
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	free, err := testenv.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	nobody := fmt.Sprintf("127.0.0.1:%d", free)
	config := func(name, yaml string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(yaml), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	etcd := testenv.Etcd(t)
	redis := testenv.Redis(t)
	stores := func(redisAddr, dsn string) string {
		return fmt.Sprintf("keeper:\n  endpoints: [%q]\nsaver:\n  redis:\n    mode: single\n    addr: %q\n  ledger:\n    driver: mysql\n    dsn: %q\n", etcd.Endpoints[0], redisAddr, dsn)
	}
	deadDSN := "root@tcp(" + nobody + ")/longlink"
	for _, c := range []struct {
		name string
		args []string
		exit int
		want []string
	}{
		{"taken port", []string{"serve", "--data", filepath.Join(dir, "a"), "--port-base", fmt.Sprint(base)}, 1, []string{"center.listen", fmt.Sprint(base + 200)}},
		{"data directory is a file", []string{"serve", "--data", file, "--port-base", "0"}, 1, []string{file, "--data"}},
		{"unknown service", []string{"serve", "rooom"}, 2, []string{"rooom", "room"}},
		{"unknown command", []string{"sreve"}, 2, []string{"sreve", "--help"}},
		{"unknown key", []string{"serve", "-c", config("typo.yaml", "room:\n  max_conections: 5\n"), "--port-base", "0"}, 1, []string{"typo.yaml:2", "max_conections", "max_connections"}},
		{"config check", []string{"config", "check", config("bad.yaml", "log:\n  level: loud\nroom:\n  lane_window: none\n")}, 1, []string{"bad.yaml:2", "loud", "bad.yaml:4"}},
		{"no etcd", []string{"serve", "room", "-c", config("etcd.yaml", fmt.Sprintf("keeper:\n  endpoints: [%q]\n  connect_timeout: 2s\n", nobody)), "--port-base", "0"}, 1, []string{"keeper.endpoints", nobody}},
		{"no Redis", []string{"serve", "saver", "-c", config("redis.yaml", stores(nobody, deadDSN)), "--port-base", "0"}, 1, []string{"saver.redis", nobody}},
		{"no MySQL", []string{"serve", "saver", "-c", config("mysql.yaml", stores(redis.Addr, deadDSN)), "--port-base", "0"}, 1, []string{"saver.ledger", nobody}},
		{"everywhere without a name", []string{"serve", "--host", "0.0.0.0", "--data", filepath.Join(dir, "b"), "--port-base", "0"}, 2, []string{"--advertise"}},
		{"no gateway", []string{"push", "--product", "demo", "--device", "d", "--text", "x", "--data", filepath.Join(dir, "none")}, 2, []string{"--center", "--data"}},
		{"no payload", []string{"push", "--product", "demo", "--device", "d"}, 2, []string{"--text"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
			defer cancel()
			cmd := exec.CommandContext(ctx, binary, c.args...)
			var stderr strings.Builder
			cmd.Stderr = &stderr
			err := cmd.Run()
			var ee *exec.ExitError
			if !errors.As(err, &ee) || ee.ExitCode() != c.exit {
				t.Fatalf("ended with %v, want exit code %d\n%s", err, c.exit, stderr.String())
			}
			lines := strings.Split(strings.TrimSpace(stderr.String()), "\n")
			last := strings.Join(lines[max(0, len(lines)-3):], "\n")
			for _, w := range c.want {
				if !strings.Contains(last, w) {
					t.Errorf("the error does not name %q:\n%s", w, last)
				}
			}
		})
	}
}
