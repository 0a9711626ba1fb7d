package saver

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	"longlink/pkg/api"
	"longlink/pkg/batch"
	"longlink/pkg/cluster"
	"longlink/pkg/code"
	"longlink/pkg/config"
	"longlink/pkg/lifecycle"
	"longlink/pkg/rpc"
	"longlink/pkg/service"
	"longlink/pkg/testenv"
	"longlink/pkg/trace"
	"longlink/saver/lane"
)

// world is a pair of stores that the conformance tests run on.
type world struct {
	t     testing.TB
	cfg   Config
	dir   string
	redis interface{ restart(keep bool) } // kills Redis and starts it again
	in    *lane.Embedded

	// The cluster around the savers: nobody, unless a test sets views.
	net   *rpc.InProcess
	views *cluster.Holder
	known *products
	lives uint64 // of savers, counted
	seams seams  // of the savers that start from now on
}

func newWorld(t testing.TB) *world {
	return &world{t: t, cfg: testConfig(), dir: t.TempDir(), net: &rpc.InProcess{}, views: cluster.NewHolder(), known: newProducts()}
}

// worlds runs the body on the embedded stores and on real ones.
func worlds(t *testing.T, body func(t *testing.T, w *world)) {
	t.Run("embedded", func(t *testing.T) { body(t, embeddedWorld(t)) })
	t.Run("real", func(t *testing.T) { body(t, realWorld(t)) })
}

func testConfig() Config {
	cfg := DefaultConfig()
	cfg.Rebuild.Pause = config.Duration(100 * time.Millisecond) // tests wait for the slots they use
	return cfg
}

func embeddedWorld(t testing.TB) *world {
	e, err := lane.NewEmbedded()
	if err != nil {
		t.Fatal(err)
	}
	g := lifecycle.NewGroup(context.WithoutCancel(t.Context()), nil, nil)
	g.Go("embedded", e.Run)
	t.Cleanup(func() {
		g.Cancel()
		if err := g.Wait(); err != nil {
			t.Error(err)
		}
	})
	w := newWorld(t)
	w.in, w.redis = e, embeddedRedis{t, e}
	return w
}

type embeddedRedis struct {
	t testing.TB
	e *lane.Embedded
}

func (r embeddedRedis) restart(keep bool) {
	if err := r.e.Restart(keep); err != nil {
		r.t.Fatal(err)
	}
}

func realWorld(t testing.TB) *world {
	w := newWorld(t)
	db := stores.MariaDB(t)
	srv := testenv.Redis(t, testenv.Args("--appendonly", "yes", "--appendfsync", "always"))
	w.cfg.Redis.Mode, w.cfg.Redis.Addr = "single", srv.Addr
	w.cfg.Ledger.Driver, w.cfg.Ledger.DSN = "mysql", db.NewDatabase(t)
	w.redis = realRedis{t, srv}
	return w
}

type realRedis struct {
	t   testing.TB
	srv *testenv.RedisServer
}

func (r realRedis) restart(keep bool) {
	if err := r.srv.Kill(); err != nil {
		r.t.Fatal(err)
	}
	if !keep {
		wipeAOF(r.t, r.srv)
	}
	if err := r.srv.Start(); err != nil {
		r.t.Fatal(err)
	}
}

// logTo writes the service's log into the test's.
func logTo(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(logWriter{t}, &slog.HandlerOptions{Level: slog.LevelInfo}))
}

type logWriter struct{ t testing.TB }

func (w logWriter) Write(p []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

var _ io.Writer = logWriter{}

// running is a saver that runs.
type running struct {
	*Saver
	t    testing.TB
	self cluster.Instance // as the view would show it
	reg  *prometheus.Registry
	stop func() // ends it and waits
}

// start runs a saver on the world's stores until the test ends or stop.
func (w *world) start(change ...func(*Config)) *running {
	w.t.Helper()
	cfg := w.cfg
	for _, f := range change {
		f(&cfg)
	}
	reg := prometheus.NewRegistry()
	w.lives++
	self := cluster.Instance{Kind: cluster.Saver, ID: fmt.Sprint("saver-", w.lives), Epoch: w.lives}
	log, life, batches := logTo(w.t), lifecycle.NewMetrics(reg), batch.NewMetrics(reg)
	peers := rpc.NewPeers(w.net, w.views, rpc.Identity{ID: self.ID, Epoch: self.Epoch}, log, batches, life)
	s, err := newSaver(cfg, service.Deps{Log: log, Registry: reg, Life: life, Batches: batches, Peers: peers, Directory: w.known, Trace: trace.New(4096)}, w.dir, w.in)
	if err != nil {
		w.t.Fatal(err)
	}
	s.seams = w.seams
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.t.Context()))
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() {
		done <- lifecycle.RunAll(ctx, log, func() { close(ready) },
			lifecycle.Part{Name: "peers", Runner: peers}, lifecycle.Part{Name: "saver", Runner: s})
	}()
	select {
	case <-ready:
	case err := <-done:
		cancel()
		w.t.Fatal(err)
	}
	var ended atomic.Bool
	r := &running{s, w.t, self, reg, func() {
		if ended.Swap(true) {
			return
		}
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("Run: %v", err)
		}
	}}
	w.t.Cleanup(r.stop)
	return r
}

// push is a message for tests: product p, text as payload, ttl of an hour.
type push struct {
	device, product, text string
	collapse, dedup       string
	ttl                   time.Duration
	id                    string
}

var ids atomic.Uint64

func (p push) item() *api.AppendItem {
	if p.product == "" {
		p.product = "shop"
	}
	if p.ttl == 0 {
		p.ttl = time.Hour
	}
	if p.id == "" {
		p.id = fmt.Sprintf("m%d", ids.Add(1))
	}
	now := time.Now()
	return &api.AppendItem{Meta: &api.Meta{}, Device: p.device, Product: p.product, Message: &api.Message{
		Id: p.id, Payload: []byte(p.text), AcceptedMs: now.UnixMilli(), ExpiresMs: now.Add(p.ttl).UnixMilli(),
		CollapseKey: p.collapse, DedupId: p.dedup, Qos: 1}}
}

// push stores one message; the code says what became of it.
func (r *running) push(p push) (*api.AppendResult, code.Code) {
	r.t.Helper()
	out := r.Append([]*api.AppendItem{p.item()})[0]
	return out, code.Code(out.GetResult().GetCode())
}

// mustPush stores one message; with a dedup id it tries again as a caller would.
func (r *running) mustPush(p push) *api.AppendResult {
	r.t.Helper()
	out, c := r.push(p)
	for try := 0; p.dedup != "" && try < 200 && retryable(c); try++ {
		<-time.After(5 * time.Millisecond)
		out, c = r.push(p)
	}
	if c != code.OK {
		r.t.Fatalf("push %+v: %v %s", p, c, out.Result.Message)
	}
	return out
}

// load reads a page.
func (r *running) load(device string, after uint64, login bool) *api.LoadResult {
	r.t.Helper()
	out := r.Load([]*api.LoadItem{{Device: device, Product: "shop", After: after, Login: login}})[0]
	if out.Result != nil {
		r.t.Fatalf("load %s: %v", device, out.Result)
	}
	return out
}

// texts is the payloads of a page in order.
func texts(p *api.LoadResult) string {
	var all []string
	for _, m := range p.Messages {
		all = append(all, string(m.Message.Payload))
	}
	return strings.Join(all, " ")
}

// holds checks what waits in a lane.
func (r *running) holds(device, want string) {
	r.t.Helper()
	if got := texts(r.load(device, 0, false)); got != want {
		r.t.Fatalf("lane of %s holds %q, want %q", device, got, want)
	}
}

func (r *running) ack(device string, seq uint64) {
	r.t.Helper()
	if out := r.Ack([]*api.AckItem{{Device: device, Product: "shop", Seq: seq}})[0]; out.Result != nil {
		r.t.Fatalf("ack: %v", out.Result)
	}
}

// eventually polls until ok, for at most ten seconds.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	end := time.NewTimer(10 * time.Second)
	defer end.Stop()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for !ok() {
		select {
		case <-end.C:
			t.Fatalf("not in time: %s", what)
		case <-poll.C:
		}
	}
}

func laneOf(device string) lane.Ref { return lane.RefOf("shop", device) }

func retryable(c code.Code) bool {
	a := c.Action()
	return a == code.RetryNow || a == code.RetryAfter && c != code.InboxFull
}

// bodyOf is a stored message's bytes.
func bodyOf(t testing.TB, text string) []byte {
	t.Helper()
	b, err := proto.Marshal(&api.Message{Id: "b", Payload: []byte(text), Qos: 1})
	if err != nil {
		t.Fatal(err)
	}
	return b
}
