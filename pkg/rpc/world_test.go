package rpc

import (
	"context"
	"errors"
	"log/slog"
	"slices"
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
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake answers as a saver does; its functions are the test's.
type fake struct {
	api.UnimplementedSaverServer
	append  func(ctx context.Context, h *api.BatchHeader, items []*api.AppendItem) []*api.AppendResult
	pending func(ctx context.Context, r *api.PendingRequest) (*api.PendingReply, error)
}

func (f *fake) Append(s grpc.BidiStreamingServer[api.AppendBatch, api.AppendReply]) error {
	return ServeBatches(s, func(n uint64, r []*api.AppendResult) *api.AppendReply {
		return &api.AppendReply{Number: n, Results: r}
	}, f.append)
}

func (f *fake) Pending(ctx context.Context, r *api.PendingRequest) (*api.PendingReply, error) {
	return f.pending(ctx, r)
}

// echo answers every item with a seq, counted from 1.
func echo() func(context.Context, *api.BatchHeader, []*api.AppendItem) []*api.AppendResult {
	var mu sync.Mutex
	var seq uint64
	return func(_ context.Context, _ *api.BatchHeader, items []*api.AppendItem) []*api.AppendResult {
		mu.Lock()
		defer mu.Unlock()
		out := make([]*api.AppendResult, len(items))
		for i, it := range items {
			seq++
			out[i] = &api.AppendResult{Seq: seq, Id: it.Message.GetId()}
		}
		return out
	}
}

// world is one form of the Network with its addresses.
type world struct {
	net  Network
	addr string // where a server listens at first
}

// worlds runs a test over both forms.
func worlds(t *testing.T, test func(t *testing.T, w *world)) {
	t.Run("TCP", func(t *testing.T) { test(t, &world{&TCP{}, "127.0.0.1:0"}) })
	t.Run("in process", func(t *testing.T) { test(t, &world{&InProcess{}, "saver:0"}) })
}

// served is a running server.
type served struct {
	addr string
	stop func() // returns when Serve has
	done chan struct{}
	quit context.CancelFunc
}

func (w *world) serve(t testing.TB, addr string, f *fake) *served {
	t.Helper()
	var srv Server
	within(t, "the address is free", func() bool {
		var err error
		srv, err = w.net.Listen(addr, func(r grpc.ServiceRegistrar) { api.RegisterSaverServer(r, f) })
		return err == nil
	})
	ctx, cancel := context.WithCancel(context.Background())
	s := &served{addr: srv.Addr(), done: make(chan struct{}), quit: cancel}
	go func() {
		defer close(s.done)
		if err := srv.Serve(ctx); err != nil {
			t.Errorf("Serve: %v", err)
		}
	}()
	s.stop = func() { cancel(); <-s.done }
	t.Cleanup(s.stop)
	return s
}

func saver(addr string) cluster.Instance {
	return cluster.Instance{Kind: cluster.Saver, ID: "s1", RPC: addr}
}

// side is the calling side.
type side struct {
	peers *Peers
	views *cluster.Holder
	stop  func() error
}

func (w *world) peers(t testing.TB, all ...cluster.Instance) *side {
	t.Helper()
	views := cluster.NewHolder(all...)
	return w.peersOf(t, views, views)
}

// peersOf follows any views; holder is where the test sets them.
func (w *world) peersOf(t testing.TB, views cluster.Views, holder *cluster.Holder) *side {
	t.Helper()
	p := NewPeers(w.net, views, Identity{ID: "me", Epoch: 7}, slog.New(slog.DiscardHandler), batch.NewMetrics(prometheus.NewRegistry()), nil)
	ctx, cancel := context.WithCancel(context.Background())
	done, ready := make(chan error, 1), make(chan struct{})
	go func() { done <- p.Run(ctx, func() { close(ready) }) }()
	<-ready
	s := &side{peers: p, views: holder, stop: sync.OnceValue(func() error { cancel(); return <-done })}
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Errorf("Peers.Run: %v", err)
		}
	})
	return s
}

func (s *side) caller(cfg CallerConfig) *Caller[*api.AppendItem, *api.AppendResult] {
	cfg.Target, cfg.Kind, cfg.Lost = "saver.append", cluster.Saver, code.Unknown
	return NewCaller(s.peers, Append, cfg)
}

func item(id string) *api.AppendItem {
	return &api.AppendItem{Meta: &api.Meta{}, Device: "d", Message: &api.Message{Id: id}}
}

// answer is what done got.
type answer struct {
	r   *api.AppendResult
	err *code.Error
}

func (a answer) code() code.Code {
	if a.err == nil {
		return code.OK
	}
	return a.err.Code
}

// submit returns where the answer comes; done called twice fails the test.
func submit(t *testing.T, c *Caller[*api.AppendItem, *api.AppendResult], to cluster.Instance, it *api.AppendItem, deadline time.Time) <-chan answer {
	ch := make(chan answer, 1)
	c.Submit(to, 1, deadline, it, func(r *api.AppendResult, err *code.Error) {
		select {
		case ch <- answer{r, err}:
		default:
			t.Error("done was called twice")
		}
	})
	return ch
}

// await takes an answer and checks its code.
func await(t *testing.T, ch <-chan answer, want ...code.Code) answer {
	t.Helper()
	select {
	case a := <-ch:
		if !slices.Contains(want, a.code()) {
			t.Errorf("answered %v (%v), want %v", a.code(), a.err, want)
		}
		return a
	case <-time.After(20 * time.Second):
		t.Fatal("no answer")
		return answer{}
	}
}

// within polls until ok.
func within(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		<-time.After(2 * time.Millisecond)
	}
}

var errBoom = errors.New("boom: secret detail")
