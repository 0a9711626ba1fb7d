package center

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"google.golang.org/grpc"

	"longlink/pkg/api"
	"longlink/pkg/batch"
	"longlink/pkg/cluster"
	"longlink/pkg/code"
	"longlink/pkg/lifecycle"
	"longlink/pkg/rpc"
	"longlink/pkg/service"
	"longlink/pkg/token"
	"longlink/pkg/trace"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a center with fakes of everything it calls.
type world struct {
	t      *testing.T
	center *Center
	views  *cluster.Holder
	saver  *fakeSaver
	reg    *fakeRegister
	room   *fakeRoom
	coord  *fakeCoordinator
	keeper *fakeKeeper
	dir    *fakeProducts
	url    string
	op     string            // the operator's key
	keys   map[string]string // product to key
	proms  *prometheus.Registry
	stop   func() // ends the center; more than once is fine
	log    *testLog
	rings  map[string]*trace.Ring // by instance
	// serve starts one more instance, which is in no view yet.
	serve func(kind cluster.Kind, id string, register func(grpc.ServiceRegistrar)) cluster.Instance
}

func newWorld(t *testing.T, change func(*Config)) *world {
	t.Helper()
	w := &world{t: t, saver: newFakeSaver(), reg: newFakeRegister(), room: &fakeRoom{}, coord: &fakeCoordinator{}, keeper: &fakeKeeper{},
		rings: map[string]*trace.Ring{}, keys: map[string]string{}, proms: prometheus.NewRegistry(), log: &testLog{t: t}}
	op, opHash := token.NewOperatorKey(time.Now())
	w.op, w.dir = op, &fakeProducts{all: map[string]*cluster.Product{}, secrets: &cluster.Secrets{
		TokenSecrets: []cluster.GrantSecret{token.NewSecret()}, OperatorKeys: []cluster.KeyHash{opHash}}}
	for _, name := range []string{"demo", "shop"} {
		key, h := token.NewKey(time.Now())
		w.keys[name] = key
		w.dir.all[name] = &cluster.Product{Name: name, CreatedMS: 1_700_000_000_000, Keys: []cluster.KeyHash{h}, GrantSecrets: []cluster.GrantSecret{token.NewSecret()}}
	}
	net := &rpc.InProcess{}
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	t.Cleanup(func() { stop(); wg.Wait() })
	w.serve = func(kind cluster.Kind, id string, register func(grpc.ServiceRegistrar)) cluster.Instance {
		srv, err := net.Listen(id+":0", register)
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() { _ = srv.Serve(ctx) })
		return cluster.Instance{Kind: kind, ID: id, Epoch: 7, State: cluster.Ready, Version: "v", RPC: srv.Addr(), StartedMS: 1_700_000_000_000}
	}
	serve := func(kind cluster.Kind, register func(grpc.ServiceRegistrar)) cluster.Instance {
		id := string(kind) + "-1"
		if w.rings[id] == nil {
			w.rings[id] = trace.New(1024)
		}
		return w.serve(kind, id, func(r grpc.ServiceRegistrar) {
			register(r)
			api.RegisterTraceServer(r, &trace.Server{Ring: w.rings[id], Node: id})
		})
	}
	w.rings["center-1"] = trace.New(1024)
	w.saver.ring = trace.New(1024)
	w.rings["saver-1"] = w.saver.ring
	w.views = cluster.NewHolder(
		serve(cluster.Saver, func(r grpc.ServiceRegistrar) { api.RegisterSaverServer(r, w.saver) }),
		serve(cluster.Register, func(r grpc.ServiceRegistrar) { api.RegisterRegisterServer(r, w.reg) }),
		serve(cluster.Room, func(r grpc.ServiceRegistrar) { api.RegisterRoomServer(r, w.room) }),
		serve(cluster.Coordinator, func(r grpc.ServiceRegistrar) { api.RegisterCoordinatorServer(r, w.coord) }),
		serve(cluster.Keeper, func(r grpc.ServiceRegistrar) { api.RegisterKeeperServer(r, w.keeper) }),
	)
	batches, life := batch.NewMetrics(w.proms), lifecycle.NewMetrics(w.proms)
	log := slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	peers := rpc.NewPeers(net, w.views, rpc.Identity{ID: "center-1", Epoch: 3}, log, batches, life)
	cfg := DefaultConfig()
	cfg.Listen = "127.0.0.1:0"
	if change != nil {
		change(&cfg)
	}
	w.center = New(cfg, service.Deps{Log: log, Registry: w.proms, Life: life, Batches: batches, Peers: peers, Directory: w.dir, Trace: w.rings["center-1"], Version: "v"}, w.dir)
	if err := w.center.Listen(); err != nil {
		t.Fatal(err)
	}
	w.url = "http://" + w.center.Addresses()[0]
	up := make(chan struct{})
	done := make(chan error, 1)
	cctx, end := context.WithCancel(context.Background())
	go func() {
		done <- lifecycle.RunAll(cctx, log, func() { close(up) },
			lifecycle.Part{Name: "peers", Runner: peers}, lifecycle.Part{Name: "center", Runner: w.center})
	}()
	select {
	case <-up:
	case err := <-done:
		t.Fatal(err)
	}
	w.stop = sync.OnceFunc(func() {
		end()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		w.stop()
	})
	return w
}

// testLog shows the log of a test that failed, and keeps it.
type testLog struct {
	t    *testing.T
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *testLog) Write(b []byte) (int, error) {
	l.t.Log(string(bytes.TrimSpace(b)))
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *testLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// answer is what a call came to.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// call makes one request; body is sent as it is. Of a stream it takes the first
// block, as a JSON object of its fields, and goes.
func (w *world) call(key, method, path, body string) answer {
	w.t.Helper()
	req, err := http.NewRequest(method, w.url+path, bytes.NewBufferString(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	if strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		return answer{res.StatusCode, res.Header, firstBlock(w.t, res.Body)}
	}
	b, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, b}
}

// into decodes a success.
func (a answer) into(t *testing.T, v any) {
	t.Helper()
	if a.status/100 != 2 {
		t.Fatalf("status %d: %s", a.status, a.body)
	}
	if err := json.Unmarshal(a.body, v); err != nil {
		t.Fatalf("%v: %s", err, a.body)
	}
}

// failed checks an error answer's status, code and field.
func (a answer) failed(t *testing.T, c code.Code, field string) errorBody {
	t.Helper()
	var e struct{ Error errorBody }
	if err := json.Unmarshal(a.body, &e); err != nil {
		t.Fatalf("status %d, no error object: %s", a.status, a.body)
	}
	if e.Error.Code != c.String() || e.Error.Field != field || e.Error.Message == "" {
		t.Errorf("got %s, want %s of field %q", a.body, c, field)
	}
	if a.status != c.HTTP() && field != "method" {
		t.Errorf("status %d, want %d", a.status, c.HTTP())
	}
	return e.Error
}

// push makes a push with the operator's key.
func (w *world) push(body string) pushAnswer {
	w.t.Helper()
	var out pushAnswer
	w.call(w.op, "POST", "/v1/push", body).into(w.t, &out)
	return out
}

func (w *world) await(what string, ok func() bool) {
	w.t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	limit := time.After(10 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-limit:
			w.t.Fatalf("waited 10 s for %s", what)
		}
	}
}

// metric is the value of one metric with these label values, 0 when it has not
// been counted.
func metric(t *testing.T, reg *prometheus.Registry, name string, labels ...string) (v float64) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			var has []string
			for _, l := range m.GetLabel() {
				has = append(has, l.GetValue())
			}
			if slices.Equal(has, labels) {
				v += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return v
}
