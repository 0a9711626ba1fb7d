package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"longlink/pkg/client"
	"longlink/pkg/testenv"
	"longlink/scripts/clusterctl/local"
)

// Gateway is a running gateway of either shape.
type Gateway struct {
	t      testing.TB
	binary string
	procs  []*proc // in starting order
	base   int
	Name   string   // embedded or distributed
	Data   string   // data directory, for logs and, embedded, the stores
	Flags  []string // what a client command needs to find it
	OpKey  string
}

// proc is one process of the gateway, the same command over kills.
type proc struct {
	name string
	args []string
	log  string
	run  *testenv.Process
}

const operatorKey = "ll_o_e2e-operator-key-of-the-tests-0123456789abcdef"

// Embedded makes a gateway of one process; Start starts it.
func Embedded(t testing.TB, binary string) *Gateway {
	g := &Gateway{t: t, binary: binary, Name: "embedded", Data: t.TempDir(), base: freeBase(t, 1)}
	g.Flags = []string{"--data", g.Data}
	g.procs = []*proc{{name: "serve", args: []string{"serve", "--data", g.Data, "--port-base", fmt.Sprint(g.base)}}}
	t.Cleanup(g.cleanup)
	return g
}

// services in the order in which they are started one by one.
var services = []string{"keeper", "saver", "register", "coordinator", "center", "room", "dispatcher"}

// Distributed makes a gateway of seven processes on real stores; Start starts
// it.
func Distributed(t testing.TB, binary string) *Gateway {
	g := &Gateway{t: t, binary: binary, Name: "distributed", Data: t.TempDir(), base: freeBase(t, 1), OpKey: operatorKey}
	redis, maria, etcd := testenv.Redis(t, testenv.AOF()), testenv.MariaDB(t), testenv.Etcd(t)
	file := filepath.Join(g.Data, "longlink.yaml")
	yaml := fmt.Sprintf(`cluster:
  operator_key: %s
keeper:
  endpoints: [%q]
saver:
  redis:
    mode: single
    addr: %q
  ledger:
    driver: mysql
    dsn: %q
`, operatorKey, etcd.Endpoints[0], redis.Addr, maria.NewDatabase(t))
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, s := range services {
		g.procs = append(g.procs, &proc{name: s, args: []string{"serve", s, "-c", file, "--data", g.Data, "--port-base", fmt.Sprint(g.base)}})
	}
	g.Flags = []string{"--data", g.Data, "--center", g.Center(), "--api-key", operatorKey}
	t.Cleanup(g.cleanup)
	return g
}

// Center is the API's URL.
func (g *Gateway) Center() string { return fmt.Sprintf("http://127.0.0.1:%d", g.base+200) }

// Dispatcher is the dispatcher's URL.
func (g *Gateway) Dispatcher() string { return fmt.Sprintf("http://127.0.0.1:%d", g.base+100) }

// Start starts every process and returns when the API and the dispatcher can
// do their work. It returns how long that took.
func (g *Gateway) Start() time.Duration {
	g.t.Helper()
	start := time.Now()
	for _, p := range g.procs {
		g.start(p)
	}
	g.await("the dispatcher to name a room", 60*time.Second, func() error {
		res, err := http.Get(g.Dispatcher() + "/v1/rooms?device=probe")
		if err != nil {
			return err
		}
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body)
		if res.StatusCode != 200 {
			return fmt.Errorf("%d %s", res.StatusCode, b)
		}
		return nil
	})
	if g.OpKey == "" {
		b, err := os.ReadFile(filepath.Join(g.Data, "operator.key"))
		if err != nil {
			g.t.Fatal(err)
		}
		g.OpKey = strings.TrimSpace(string(b))
	}
	g.await("center to see every service", 60*time.Second, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		list, err := g.API().Services(ctx)
		if err == nil && len(list) < len(services) {
			err = fmt.Errorf("it sees %d instances", len(list))
		}
		return err
	})
	return time.Since(start)
}

// start runs one process and waits for its ready line, which is in its log
// after what earlier runs printed.
func (g *Gateway) start(p *proc) {
	g.t.Helper()
	p.log = filepath.Join(g.Data, p.name+".log")
	before, _ := os.ReadFile(p.log)
	var err error
	p.run, err = testenv.Command{Path: g.binary, Args: p.args, Log: p.log}.Start()
	if err != nil {
		g.t.Fatal(err)
	}
	g.await(p.name+" to be ready", 60*time.Second, func() error {
		select {
		case <-p.run.Done():
			g.t.Fatalf("%s ended before it was ready: %v\n%s", p.name, p.run.Wait(), tail(p.log))
		default:
		}
		b, err := os.ReadFile(p.log)
		if err == nil && !bytes.Contains(b[len(before):], []byte("\nready ")) && !bytes.HasPrefix(b[len(before):], []byte("ready ")) {
			err = errors.New("no ready line yet")
		}
		return err
	})
}

// Kill ends every process with SIGKILL.
func (g *Gateway) Kill() {
	for _, p := range g.procs {
		p.run.Kill()
	}
}

// Stop ends every process with SIGTERM, the last started first, and fails the
// test when one does not exit 0 within 15 s. It returns how long the slowest
// took.
func (g *Gateway) Stop() (slowest time.Duration) {
	g.t.Helper()
	for i := len(g.procs) - 1; i >= 0; i-- {
		p, start := g.procs[i], time.Now()
		if err := p.run.Signal(syscall.SIGTERM); err != nil {
			g.t.Fatalf("%s: %v", p.name, err)
		}
		select {
		case <-p.run.Done():
		case <-time.After(15 * time.Second):
			p.run.Signal(syscall.SIGQUIT)
			<-p.run.Done()
			g.t.Fatalf("%s did not end within 15 s of SIGTERM\n%s", p.name, tail(p.log))
		}
		if err := p.run.Wait(); err != nil {
			g.t.Errorf("%s after SIGTERM: %v, want exit code 0\n%s", p.name, err, tail(p.log))
		}
		slowest = max(slowest, time.Since(start))
	}
	return slowest
}

func (g *Gateway) cleanup() {
	for _, p := range g.procs {
		if p.run == nil {
			continue
		}
		p.run.Kill()
		if b, _ := os.ReadFile(p.log); strings.Contains(string(b), "DATA RACE") {
			g.t.Errorf("%s: data race\n%s", p.name, b)
		}
		if g.t.Failed() {
			g.t.Logf("--- %s\n%s", p.name, tail(p.log))
		}
	}
}

// API is a client with the operator's key.
func (g *Gateway) API() *client.Client {
	g.t.Helper()
	c, err := client.New(client.Config{Center: g.Center(), APIKey: g.OpKey})
	if err != nil {
		g.t.Fatal(err)
	}
	return c
}

// CLI runs a client command against the gateway as a user would.
func (g *Gateway) CLI(args ...string) (stdout string, err error) { return g.Site().CLI(args...) }

// Site is the gateway as its users see it, once it has started.
func (g *Gateway) Site() *Site {
	return &Site{binary: g.binary, Centers: []string{g.Center()}, Dispatchers: []string{g.Dispatcher()}, OpKey: g.OpKey, Flags: g.Flags}
}

func (g *Gateway) await(what string, limit time.Duration, ask func() error) {
	g.t.Helper()
	await(g.t, what, limit, ask)
}

// await polls until ask is nil.
func await(t testing.TB, what string, limit time.Duration, ask func() error) {
	t.Helper()
	end := time.Now().Add(limit)
	for {
		err := ask()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("waited %s for %s: %v", limit, what, err)
		}
		<-time.After(20 * time.Millisecond)
	}
}

func tail(file string) string {
	b, _ := os.ReadFile(file)
	if len(b) > 6000 {
		b = b[len(b)-6000:]
	}
	return string(b)
}

// freeBase finds a port base from which so many instances of each service find
// their ports free. Bases lie below the range that the kernel gives to outgoing
// connections.
func freeBase(t testing.TB, instances int) int {
	t.Helper()
	first := os.Getpid() % 20
	for i := range 20 {
		base := 10000 + (first+i)%20*1000
		if local.CheckPorts(base, instances) == nil && base+instances*local.Stride <= 31000 {
			return base
		}
	}
	t.Fatal("no free port base between 10000 and 30000")
	return 0
}
