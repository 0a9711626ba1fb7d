package room

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	"longlink/pkg/api"
	"longlink/pkg/batch"
	"longlink/pkg/cluster"
	"longlink/pkg/code"
	"longlink/pkg/config"
	"longlink/pkg/lifecycle"
	"longlink/pkg/rpc"
	"longlink/pkg/service"
	"longlink/pkg/token"
	"longlink/pkg/trace"
	"longlink/pkg/wire"
)

// world is one running room with a register, a saver and a coordinator made for
// the test.
type world struct {
	t        testing.TB
	room     *Room
	reg      *fakeRegister
	saver    *fakeSaver
	coord    *fakeCoordinator
	dir      *fakeDirectory
	views    *cluster.Holder
	net      *rpc.InProcess
	registry *prometheus.Registry
	deliver  *rpc.Caller[*api.DeliverItem, *api.DeliverResult]
	client   api.RoomClient
	stop     func() // ends the room and waits for it; also at the test's end
}

func ms(n int) config.Duration { return config.Duration(time.Duration(n) * time.Millisecond) }

// newWorld starts a room on free ports with ticks of 10 ms; change may adapt
// its configuration.
func newWorld(t testing.TB, change func(c *Config)) *world {
	w := &world{t: t,
		reg:      &fakeRegister{sessions: map[string]*api.Session{}},
		saver:    &fakeSaver{clock: 1000, lanes: map[string][]*api.LaneMessage{}, acks: map[string]uint64{}},
		coord:    &fakeCoordinator{},
		dir:      &fakeDirectory{products: map[string]*cluster.Product{}},
		net:      &rpc.InProcess{},
		registry: prometheus.NewRegistry(),
	}
	w.dir.secrets.TokenSecrets = []cluster.GrantSecret{token.NewSecret()}
	for _, p := range []string{"demo", "news", "chat"} {
		w.dir.products[p] = &cluster.Product{Name: p, GrantSecrets: []cluster.GrantSecret{token.NewSecret()}}
	}
	for i := range wire.MaxBindings + 1 {
		p := fmt.Sprintf("product-%d", i)
		w.dir.products[p] = &cluster.Product{Name: p}
	}
	ctx, cancel := context.WithCancel(context.Background())
	life := lifecycle.NewGroup(ctx, nil, nil)
	w.serve(life, "register-1", func(s grpc.ServiceRegistrar) { api.RegisterRegisterServer(s, w.reg) })
	w.serve(life, "saver-1", func(s grpc.ServiceRegistrar) { api.RegisterSaverServer(s, w.saver) })
	w.serve(life, "coordinator-1", func(s grpc.ServiceRegistrar) { api.RegisterCoordinatorServer(s, w.coord) })
	w.views = cluster.NewHolder(
		cluster.Instance{Kind: cluster.Coordinator, ID: "coordinator-1", Epoch: 1, RPC: "coordinator-1"},
		cluster.Instance{Kind: cluster.Register, ID: "register-1", Epoch: 1, RPC: "register-1"},
		cluster.Instance{Kind: cluster.Saver, ID: "saver-1", Epoch: 1, RPC: "saver-1"},
		cluster.Instance{Kind: cluster.Room, ID: "room-1", Epoch: 7, RPC: "room-1"})
	batches := batch.NewMetrics(w.registry)
	peers := rpc.NewPeers(w.net, w.views, rpc.Identity{ID: "room-1", Epoch: 7}, slog.New(slog.DiscardHandler), batches, nil)
	life.Go("peers", func(ctx context.Context) error { return peers.Run(ctx, func() {}) })

	cfg := DefaultConfig()
	cfg.Upstream.PerSecond = 1 << 30 // no matter, but where it is the matter
	cfg.Listen = []string{"127.0.0.1:0", "127.0.0.1:0"}
	cfg.Loops = 2
	cfg.RetryMin, cfg.RetryMax = ms(20), ms(100)
	if change != nil {
		change(&cfg)
	}
	w.room = New(cfg, service.Deps{Log: slog.New(slog.DiscardHandler), Registry: w.registry, Batches: batches, Peers: peers, Directory: w.dir, Trace: trace.New(1024)})
	w.room.tick = 10 * time.Millisecond
	if err := w.room.Listen(); err != nil {
		t.Fatal(err)
	}
	w.serve(life, "room-1", w.room.Register)
	w.deliver = rpc.NewCaller(peers, rpc.Deliver, rpc.CallerConfig{Target: "room.deliver", Kind: cluster.Room})
	cc, err := w.net.Dial("room-1")
	if err != nil {
		t.Fatal(err)
	}
	w.client = api.NewRoomClient(cc)

	rctx, end := context.WithCancel(context.Background())
	isReady, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- w.room.Run(rctx, func() { close(isReady) }) }()
	<-isReady
	stopped := false
	w.stop = func() {
		if stopped {
			return
		}
		stopped = true
		end()
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(10 * time.Second):
			t.Error("the room did not stop")
		}
	}
	t.Cleanup(func() {
		w.stop()
		cancel()
		if err := life.Wait(); err != nil {
			t.Error(err)
		}
	})
	return w
}

func (w *world) serve(g *lifecycle.Group, name string, register func(grpc.ServiceRegistrar)) {
	s, err := w.net.Listen(name, register)
	if err != nil {
		w.t.Fatal(err)
	}
	g.Go(name, s.Serve)
}

// token makes a device token.
func (w *world) token(device string, products ...string) string {
	s, err := token.Sign(w.dir.secrets.TokenSecrets[0], token.Device{Device: device, Products: products, Expires: time.Now().Add(time.Hour)})
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// hand delivers a message to a device's session as register knows it.
func (w *world) hand(device, product string, m *api.LaneMessage) (api.DeliverResult_State, *code.Error) {
	var conn, epoch uint64
	if s := w.reg.session(device); s != nil {
		conn, epoch = s.Conn, s.Epoch
	}
	to, _ := w.views.View().Get(cluster.Room, "room-1")
	type answer struct {
		res *api.DeliverResult
		err *code.Error
	}
	ch := make(chan answer, 1)
	w.deliver.Submit(to, 1, time.Now().Add(5*time.Second), &api.DeliverItem{Meta: &api.Meta{}, Device: device, Product: product, Conn: conn, Epoch: epoch, Message: m},
		func(res *api.DeliverResult, err *code.Error) { ch <- answer{res, err} })
	a := <-ch
	return a.res.GetState(), a.err
}

// metric sums a metric's counters and gauges over its labels; a label value
// given picks one of them.
func (w *world) metric(name string, label ...string) (sum float64) {
	w.t.Helper()
	families, err := w.registry.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.Metric {
			if len(label) > 0 && (len(m.Label) == 0 || m.Label[0].GetValue() != label[0]) {
				continue
			}
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return sum
}

// eventually polls until cond is true.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(10 * time.Second); !cond(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}
