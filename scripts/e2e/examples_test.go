package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"longlink/pkg/testenv"
)

const interrupt = syscall.SIGINT

// example is one line of a command's --help.
type example struct {
	command string // as the list of commands names it
	line    string
}

var (
	commandLine = regexp.MustCompile(`(?m)^  ([a-z][a-z -]*?)(?:   |$)`)
	exampleLine = regexp.MustCompile(`(?m)^    (?:source <\()?(longlink .*)$`)
)

// examplesOf are the examples of all commands, in the order of the help.
func examplesOf(t *testing.T, binary string) (list []example) {
	t.Helper()
	help, err := exec.Command(binary, "--help").Output()
	if err != nil {
		t.Fatal(err)
	}
	_, commands, _ := strings.Cut(string(help), "Commands:\n")
	for _, m := range commandLine.FindAllStringSubmatch(commands, -1) {
		out, err := exec.Command(binary, append(strings.Fields(m[1]), "--help")...).Output()
		if err != nil {
			t.Fatalf("%s --help: %v", m[1], err)
		}
		found := exampleLine.FindAllString(string(out), -1)
		if len(found) == 0 {
			t.Errorf("%s --help has no example\n%s", m[1], out)
		}
		for _, line := range found {
			list = append(list, example{m[1], strings.TrimSpace(line)})
		}
	}
	return list
}

// examples runs every example of every --help as a person would, in a shell, in
// a directory in which a gateway has its data. Those that run on are ended by
// Ctrl-C when they have done their work. All exit 0.
func examples(t *testing.T, g *Gateway) {
	list := examplesOf(t, g.binary)
	if len(list) < 25 {
		t.Errorf("only %d examples were found: %v", len(list), list)
	}
	dir := t.TempDir()
	if err := os.Symlink(g.binary, filepath.Join(dir, "longlink")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(g.Data, filepath.Join(dir, "data")); err != nil {
		t.Fatal(err)
	}
	yaml := fmt.Sprintf("keeper:\n  endpoints: [%q]\n", testenv.Etcd(t).Endpoints[0])
	if err := os.WriteFile(filepath.Join(dir, "longlink.yaml"), []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	x := shell(dir)

	// The devices first: what follows pushes to them, and a kick is the last.
	order := []string{"device", "events", "serve"}
	rank := func(e example) int {
		if i := slices.Index(order, e.command); i >= 0 {
			return i
		}
		if e.command == "kick" {
			return len(order) + 1
		}
		return len(order)
	}
	slices.SortStableFunc(list, func(a, b example) int { return rank(a) - rank(b) })
	var phone *Device
	for _, e := range list {
		if rank(e) == len(order) && phone == nil {
			phone = g.Site().Device(t, "phone-1")
			phone.Start()
			phone.AwaitConnected()
		}
		t.Run(e.line, func(t *testing.T) {
			switch e.command {
			case "device":
				x.until(t, e.line, func(out string) bool {
					return strings.Contains(out, "connected") && strings.Count(out, " stored\n") >= strings.Count(e.line, "--send ")
				})
			case "events":
				x.until(t, e.line, func(out string) bool { return strings.Contains(out, "ready") })
			case "serve":
				// Another gateway may have the usual ports and this one's data, and
				// nobody else is to reach it.
				line := strings.ReplaceAll(e.line, "0.0.0.0", "127.0.0.1") + " --port-base 0 --data " + t.TempDir()
				x.until(t, line, func(out string) bool { return strings.Contains(out, "\nready ") || strings.HasPrefix(out, "ready ") })
			default:
				x.run(t, e.line)
			}
		})
	}
	phone.Kill()
}

// shell runs lines as a person types them.
type shell string // the working directory

func (x shell) command(ctx context.Context, line string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "bash", "--norc", "-c", line)
	cmd.Dir = string(x)
	cmd.Env = append(os.Environ(), "PATH="+string(x)+":"+os.Getenv("PATH"), "LONGLINK_CENTER=", "LONGLINK_API_KEY=")
	return cmd
}

// run runs a line that ends by itself.
func (x shell) run(t *testing.T, line string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	if out, err := x.command(ctx, "set -euo pipefail; "+line).CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", line, err, out)
	}
}

// until runs a line that runs on, and ends it with SIGINT when it has printed
// what it should.
func (x shell) until(t *testing.T, line string, done func(out string) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	name := filepath.Join(t.TempDir(), "out")
	file, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	cmd := x.command(ctx, "exec "+line)
	cmd.Stdout, cmd.Stderr = file, file
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	await(t, line+" to do its work", 30*time.Second, func() error {
		select {
		case err := <-ended:
			t.Fatalf("%s ended by itself: %v\n%s", line, err, tail(name))
		default:
		}
		if out, err := os.ReadFile(name); err != nil || !done(string(out)) {
			return fmt.Errorf("it printed\n%s", tail(name))
		}
		return nil
	})
	if err := cmd.Process.Signal(interrupt); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("%s after Ctrl-C: %v\n%s", line, err, tail(name))
	}
}
