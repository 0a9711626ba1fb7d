package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"longlink/pkg/client"
	"longlink/pkg/cluster"
	"longlink/scripts/clusterctl/local"
)

// Site is a running gateway of any shape, as its users see it.
type Site struct {
	binary      string
	Centers     []string
	Dispatchers []string
	OpKey       string
	Flags       []string // what a client command needs to find it
}

// siteOf is a cluster with all its centers and dispatchers.
func siteOf(t testing.TB, nodes *local.Cluster, binary string) *Site {
	t.Helper()
	key, err := nodes.OperatorKey()
	if err != nil {
		t.Fatal(err)
	}
	s := &Site{binary: binary, Centers: addresses(nodes, cluster.Center), Dispatchers: addresses(nodes, cluster.Dispatcher), OpKey: key}
	s.Flags = []string{"--center", strings.Join(s.Centers, ","), "--api-key", key}
	return s
}

// API is a client of all centers with a key; empty: the operator's.
func (s *Site) API(t testing.TB, key string) *client.Client {
	t.Helper()
	if key == "" {
		key = s.OpKey
	}
	c, err := client.New(client.Config{Centers: s.Centers, APIKey: key})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// CLI runs a client command as a user would. The error has the exit code and
// what was said on standard error.
func (s *Site) CLI(args ...string) (stdout string, err error) {
	cmd := exec.Command(s.binary, append(args, s.Flags...)...)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err = cmd.Run(); err != nil {
		var ee *exec.ExitError
		if errors.As(err, &ee) {
			err = fmt.Errorf("exit %d: %s", ee.ExitCode(), errs.String())
		}
	}
	return out.String(), err
}

// Device is `longlink device` with a log and a state directory of its own.
func (s *Site) Device(t testing.TB, id string, args ...string) *Device {
	args = append([]string{"--dispatcher", strings.Join(s.Dispatchers, ","), "--state", t.TempDir()}, args...)
	return newDevice(t, s.binary, id, append(args, s.Flags...)...)
}

// must is CLI for what has to work.
func (s *Site) must(t testing.TB, args ...string) (stdout string) {
	t.Helper()
	out, err := s.CLI(args...)
	if err != nil {
		t.Fatalf("longlink %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// jsonLines reads lines of JSON objects.
func jsonLines(t testing.TB, lines string) (out []map[string]any) {
	t.Helper()
	for _, l := range strings.Split(strings.TrimSpace(lines), "\n") {
		if l == "" {
			continue
		}
		var o map[string]any
		if err := json.Unmarshal([]byte(l), &o); err != nil {
			t.Fatalf("%v: %s", err, l)
		}
		out = append(out, o)
	}
	return out
}
