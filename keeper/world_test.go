package keeper

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"longlink/pkg/cluster"
	"longlink/pkg/config"
	"longlink/pkg/lifecycle"
	"longlink/pkg/testenv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is one kind of etcd that the same tests run on.
type world struct {
	member    *Embedded
	endpoints []string
	kill      func() // not in process: there the clients die with it
	start     func()
}

// worlds runs a test on an etcd of its own in every form.
func worlds(t *testing.T, test func(t *testing.T, w *world)) {
	t.Run("in process", func(t *testing.T) {
		t.Parallel()
		test(t, &world{member: startMember(t, EmbeddedOptions{Dir: t.TempDir()})})
	})
	outages(t, test)
}

// outages runs a test on the forms of etcd that can end under their clients.
func outages(t *testing.T, test func(t *testing.T, w *world)) {
	t.Run("embedded over TCP", func(t *testing.T) {
		t.Parallel()
		o := EmbeddedOptions{Dir: t.TempDir()}
		m := startMember(t, o)
		o.Client = m.Addr()
		w := &world{endpoints: []string{m.Addr()}}
		w.kill = func() { m.Close() }
		w.start = func() { m = startMember(t, o) }
		test(t, w)
	})
	t.Run("etcd process", func(t *testing.T) {
		t.Parallel()
		e := testenv.Etcd(t)
		fail := func(err error) {
			if err != nil {
				t.Fatal(err)
			}
		}
		test(t, &world{endpoints: e.Endpoints, kill: func() { fail(e.Kill()) }, start: func() { fail(e.Start()) }})
	})
}

func startMember(t *testing.T, o EmbeddedOptions) *Embedded {
	t.Helper()
	if o.Client == "" {
		o.Client = "127.0.0.1:0"
	}
	o.Peer = "127.0.0.1:0"
	m, err := StartEmbedded(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

func testConfig(w *world) Config {
	cfg := DefaultConfig()
	cfg.Endpoints = w.endpoints
	cfg.LeaseTTL = config.Duration(2 * time.Second) // Debian's etcd grants no less
	cfg.RequestTimeout = config.Duration(2 * time.Second)
	cfg.ProbeInterval = config.Duration(50 * time.Millisecond)
	return cfg
}

// connect makes a client that does not follow yet.
func (w *world) connect(t *testing.T) *Client {
	t.Helper()
	c, err := Connect(t.Context(), testConfig(w), Options{Member: w.member, Registry: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// client makes one that follows until the test ends.
func (w *world) client(t *testing.T) *Client {
	t.Helper()
	c := w.connect(t)
	run(t, c)
	return c
}

// part is a Runner of a test.
type part struct {
	stop func()
	err  chan error
}

// run starts a Runner, waits until it is ready and stops it with the test.
func run(t *testing.T, r lifecycle.Runner) *part {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	p := &part{stop: cancel, err: make(chan error, 1)}
	ready, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		p.err <- r.Run(ctx, func() { close(ready) })
	}()
	t.Cleanup(func() { cancel(); <-done })
	select {
	case <-ready:
	case <-done:
		t.Fatalf("ended before it was ready: %v", <-p.err)
	case <-time.After(20 * time.Second):
		t.Fatal("not ready")
	}
	return p
}

// end stops the part and waits for it.
func (p *part) end(t *testing.T) {
	t.Helper()
	p.stop()
	if err := <-p.err; err != nil {
		t.Errorf("Run: %v", err)
	}
}

// eventually polls until ok.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		<-time.After(5 * time.Millisecond)
	}
}

func room(id string) cluster.Instance {
	return cluster.Instance{Kind: cluster.Room, ID: id, RPC: "127.0.0.1:1", Version: "test"}
}

// sees waits until the client's view has the instance, or has it not.
func sees(t *testing.T, c *Client, id string, present bool) cluster.Instance {
	t.Helper()
	var got cluster.Instance
	eventually(t, "instance "+id+" in the view or gone from it", func() bool {
		i, ok := c.Views().View().Get(cluster.Room, id)
		got = i
		return ok == present
	})
	return got
}

// runnerOf makes an rpc server a Runner.
func runnerOf(srv interface {
	Serve(ctx context.Context) error
}) lifecycle.Runner {
	return lifecycle.RunnerFunc(func(ctx context.Context, ready func()) error {
		ready()
		return srv.Serve(ctx)
	})
}
