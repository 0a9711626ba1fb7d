package e2e

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

var seed = flag.Uint64("seed", 20261121, "seed of the load test's choices; a failing run prints it")

// binary is the program under test, built once with the race detector.
var binary string

func TestMain(m *testing.M) {
	flag.Parse()
	// A program with the race detector rests for a second at its end, unless
	// told not to; the tests start hundreds.
	os.Setenv("GORACE", "atexit_sleep_ms=0")
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "longlink-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "longlink")
	build := exec.Command("go", "build", "-race", "-o", binary, "longlink")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// topologies runs the same body over both shapes.
func topologies(t *testing.T, body func(t *testing.T, g *Gateway)) {
	t.Run("embedded", func(t *testing.T) { body(t, Embedded(t, binary)) })
	t.Run("distributed", func(t *testing.T) { body(t, Distributed(t, binary)) })
}
