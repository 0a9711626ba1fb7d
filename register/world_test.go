package register

import (
	"context"
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
	"longlink/pkg/config"
	"longlink/pkg/lifecycle"
	"longlink/pkg/rpc"
	"longlink/pkg/service"
	"longlink/pkg/slot"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const self = "register-1"

// world is a register, rooms that note what they are told, and a view that the
// test sets.
type world struct {
	t        *testing.T
	reg      *Register
	views    *cluster.Holder
	revision uint64
	me       cluster.Instance
	rooms    map[string]*fakeRoom
	metrics  *prometheus.Registry
	calls    *rpc.Peers // of a caller that sees the same view
	update   *rpc.Caller[*api.SessionItem, *api.SessionResult]
	locate   *rpc.Caller[*api.LocateItem, *api.LocateResult]
}

// fakeRoom notes evictions and kicks.
type fakeRoom struct {
	api.UnimplementedRoomServer
	inst cluster.Instance

	mu      sync.Mutex
	evicted []*api.EvictItem
	kicked  []*api.KickRequest
	offline map[string]bool // answers to kicks
	fail    error
	hold    chan struct{} // set before use: evictions are taken when it is closed
}

func (f *fakeRoom) Evict(ctx context.Context, r *api.EvictRequest) (*api.EvictReply, error) {
	if f.hold != nil {
		select {
		case <-f.hold:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.evicted = append(f.evicted, r.Items...)
	return &api.EvictReply{}, f.fail
}

func (f *fakeRoom) KickLocal(_ context.Context, r *api.KickRequest) (*api.KickReply, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.kicked = append(f.kicked, r)
	out := &api.KickReply{}
	for _, d := range r.Devices {
		res := &api.KickResult{}
		if f.offline[d] {
			res.Result = rpc.ResultOf(code.Errorf(code.Offline, "not here"))
		}
		out.Results = append(out.Results, res)
	}
	return out, f.fail
}

func (f *fakeRoom) evictions() []*api.EvictItem {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.evicted
}

// newWorld starts a register under a view that has the rooms but not yet the
// register itself, as at every start.
func newWorld(t *testing.T, change func(*Config), rooms ...string) *world {
	t.Helper()
	return newWorldOf(t, func(h *cluster.Holder) cluster.Views { return h }, change, rooms...)
}

// newWorldOf has the register follow what of makes of the views that the test
// sets.
func newWorldOf(t *testing.T, of func(*cluster.Holder) cluster.Views, change func(*Config), rooms ...string) *world {
	t.Helper()
	w := &world{t: t, rooms: map[string]*fakeRoom{}, revision: 10}
	network := &rpc.InProcess{}
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	t.Cleanup(func() { stop(); wg.Wait() })
	serve := func(name string, register func(grpc.ServiceRegistrar)) string {
		srv, err := network.Listen(name, register)
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() { _ = srv.Serve(ctx) })
		return srv.Addr()
	}
	var list []cluster.Instance
	for _, id := range rooms {
		f := &fakeRoom{offline: map[string]bool{}}
		f.inst = cluster.Instance{Kind: cluster.Room, ID: id, Epoch: 1, RPC: serve(id, func(r grpc.ServiceRegistrar) { api.RegisterRoomServer(r, f) })}
		w.rooms[id] = f
		list = append(list, f.inst)
	}
	w.views = cluster.NewHolder(list...)
	reg := prometheus.NewRegistry()
	w.metrics = reg
	batches, life := batch.NewMetrics(reg), lifecycle.NewMetrics(reg)
	log := slog.New(slog.DiscardHandler)
	peers := rpc.NewPeers(network, of(w.views), rpc.Identity{ID: self, Epoch: 5}, log, batches, life)
	w.calls = rpc.NewPeers(network, w.views, rpc.Identity{ID: "caller"}, log, batches, life)
	w.update = rpc.NewCaller(w.calls, rpc.UpdateSessions, rpc.CallerConfig{Target: "register.update", Kind: cluster.Register})
	w.locate = rpc.NewCaller(w.calls, rpc.Locate, rpc.CallerConfig{Target: "register.locate", Kind: cluster.Register})
	cfg := DefaultConfig()
	cfg.RefillWait = config.Duration(30 * time.Millisecond)
	if change != nil {
		change(&cfg)
	}
	w.reg = New(cfg, service.Deps{Log: log, Registry: reg, Life: life, Batches: batches, Peers: peers})
	w.me = cluster.Instance{Kind: cluster.Register, ID: self, Epoch: 5, RPC: serve(self, w.reg.Register)}
	up, done := make(chan struct{}), make(chan error, 1)
	rctx, end := context.WithCancel(context.Background())
	go func() {
		done <- lifecycle.RunAll(rctx, log, func() { close(up) },
			lifecycle.Part{Name: "peers", Runner: peers}, lifecycle.Part{Name: "calls", Runner: w.calls}, lifecycle.Part{Name: "register", Runner: w.reg})
	}()
	<-up
	t.Cleanup(func() {
		end()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return w
}

// view sets who is there besides the register, which is there if owner is
// true, and waits until the register has taken it in.
func (w *world) view(owner bool, rooms ...cluster.Instance) uint64 {
	w.t.Helper()
	w.revision++
	all := append([]cluster.Instance{}, rooms...)
	if owner {
		all = append(all, w.me)
	} else {
		other := w.me
		other.ID = "register-2" // the same address, so that calls still arrive
		all = append(all, other)
	}
	w.views.Set(cluster.NewView(w.revision, all))
	w.await("the view", func() bool { return w.reg.slots.viewRevision() == w.revision })
	return w.revision
}

// inst is one of the rooms, in the life given.
func (w *world) inst(id string, epoch uint64) cluster.Instance {
	i := w.rooms[id].inst
	i.Epoch = epoch
	return i
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

// sess names a session in a table.
type sess struct {
	room      string
	roomEpoch uint64
	epoch     uint64
}

func (s sess) of(device string, products ...string) *api.Session {
	out := &api.Session{Device: device, Room: s.room, RoomEpoch: s.roomEpoch, Conn: s.epoch * 10, Epoch: s.epoch, Network: "wifi", Client: "c/1", SinceMs: 7, Remote: "1.2.3.4:5"}
	for _, p := range products {
		out.Bindings = append(out.Bindings, &api.SessionBinding{Product: p, Tags: []string{"t"}})
	}
	return out
}

func (w *world) send(op api.SessionItem_Op, s *api.Session) (*api.SessionResult, *code.Error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return w.update.Do(ctx, slot.Of(s.Device), slot.Key(s.Device), &api.SessionItem{Meta: &api.Meta{}, Op: op, Session: s})
}

func (w *world) put(s *api.Session) *api.SessionResult {
	w.t.Helper()
	r, err := w.send(api.SessionItem_OP_PUT, s)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w *world) find(device, product string) (*api.LocateResult, *code.Error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return w.locate.Do(ctx, slot.Of(device), slot.Key(device), &api.LocateItem{Meta: &api.Meta{}, Device: device, Product: product})
}

// finds checks that a device is found at a session, or the code otherwise.
func (w *world) finds(device string, want sess, c code.Code) {
	w.t.Helper()
	got, err := w.find(device, "p")
	switch {
	case c != code.OK && (err == nil || err.Code != c):
		w.t.Errorf("%s: found %+v, %v; want %v", device, got, err, c)
	case c == code.OK && err != nil:
		w.t.Errorf("%s: %v; want %+v", device, err, want)
	case c == code.OK && (sess{got.Room, got.RoomEpoch, got.Epoch} != want || got.Conn != want.epoch*10):
		w.t.Errorf("%s: found %+v; want %+v", device, got, want)
	}
}

func (w *world) refilled(room string, epoch, revision uint64, slots ...uint32) *code.Error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if len(slots) == 0 {
		for s := range uint32(slot.Count) {
			slots = append(slots, s)
		}
	}
	cc, err := w.calls.Conn(w.me.RPC)
	if err == nil {
		_, err = api.NewRegisterClient(cc).Refilled(ctx, &api.RefilledRequest{Room: room, RoomEpoch: epoch, ViewRevision: revision, Register: self, RegisterEpoch: 5, Slots: slots})
	}
	return rpc.FromStatus(err)
}

// ready makes a world whose register owns everything and has been refilled.
func ready(t *testing.T, change func(*Config), rooms ...string) *world {
	t.Helper()
	w := newWorld(t, change, rooms...)
	var list []cluster.Instance
	for _, id := range rooms {
		list = append(list, w.inst(id, 1))
	}
	rev := w.view(true, list...)
	for _, id := range rooms {
		if err := w.refilled(id, 1, rev); err != nil {
			t.Fatal(err)
		}
	}
	return w
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
