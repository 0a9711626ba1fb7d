package coordinator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

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
	"longlink/pkg/slot"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeRegister answers OFFLINE for devices of its list.
type fakeRegister struct {
	api.UnimplementedRegisterServer
	mu      sync.Mutex
	got     []*api.KickRequest
	offline map[string]bool
	fail    error
	short   bool // answers with no results
}

func (f *fakeRegister) Kick(_ context.Context, r *api.KickRequest) (*api.KickReply, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.got = append(f.got, r)
	out := &api.KickReply{}
	for _, d := range r.Devices {
		res := &api.KickResult{}
		if f.offline[d] {
			res.Result = rpc.ResultOf(code.Errorf(code.Offline, "not here"))
		}
		out.Results = append(out.Results, res)
	}
	if f.short {
		out.Results = nil
	}
	return out, f.fail
}

type world struct {
	coord     *Coordinator
	views     *cluster.Holder
	registers map[string]*fakeRegister
	savers    map[string]*fakeSaver // s1 and s2
	client    api.CoordinatorClient
	metrics   *prometheus.Registry
}

func newWorld(t *testing.T, ids ...string) *world {
	t.Helper()
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
	w := &world{registers: map[string]*fakeRegister{}, savers: map[string]*fakeSaver{}}
	var list []cluster.Instance
	for _, id := range []string{"s1", "s2"} {
		f := &fakeSaver{}
		w.savers[id] = f
		list = append(list, cluster.Instance{Kind: cluster.Saver, ID: id, RPC: serve(id, func(r grpc.ServiceRegistrar) { api.RegisterSaverServer(r, f) })})
	}
	for _, id := range ids {
		f := &fakeRegister{offline: map[string]bool{}}
		w.registers[id] = f
		list = append(list, cluster.Instance{Kind: cluster.Register, ID: id, RPC: serve(id, func(r grpc.ServiceRegistrar) { api.RegisterRegisterServer(r, f) })})
	}
	w.views = cluster.NewHolder(list...)
	reg := prometheus.NewRegistry()
	w.metrics = reg
	life := lifecycle.NewMetrics(reg)
	peers := rpc.NewPeers(network, w.views, rpc.Identity{ID: "c"}, nil, batch.NewMetrics(reg), life)
	running := make(chan struct{})
	wg.Go(func() { _ = peers.Run(ctx, func() { close(running) }) })
	<-running
	w.coord = New(DefaultConfig(), service.Deps{Registry: reg, Life: life, Peers: peers, Directory: products{"demo", "news"}})
	conn, err := network.Dial(serve("coordinator", w.coord.Register))
	if err != nil {
		t.Fatal(err)
	}
	w.client = api.NewCoordinatorClient(conn)
	return w
}

func TestKickGoesToTheOwners(t *testing.T) {
	w := newWorld(t, "r1", "r2", "r3")
	req := &api.KickRequest{Product: "p", Code: 7, Message: "m", RetryMs: 9}
	for i := range 60 {
		req.Devices = append(req.Devices, fmt.Sprint("d", i))
	}
	owner := func(d string) string {
		i, _ := w.views.View().Owner(cluster.Register, slot.Of(d))
		return i.ID
	}
	w.registers["r2"].fail = code.Errorf(code.Unavailable, "away")
	off := req.Devices[0]
	for _, d := range req.Devices {
		if owner(d) != "r2" {
			off = d
		}
	}
	w.registers[owner(off)].offline[off] = true
	rep, err := w.client.Kick(context.Background(), req)
	if err != nil {
		t.Fatal(err)
	}
	for i, d := range req.Devices {
		want := code.OK
		switch {
		case owner(d) == "r2":
			want = code.Unavailable
		case d == off:
			want = code.Offline
		}
		if got := code.Code(rep.Results[i].GetResult().GetCode()); got != want {
			t.Errorf("%s: %v, want %v", d, got, want)
		}
	}
	n := 0
	for id, f := range w.registers {
		if len(f.got) != 1 {
			t.Errorf("%s was called %d times", id, len(f.got))
			continue
		}
		r := f.got[0]
		n += len(r.Devices)
		if r.Product != "p" || r.Code != 7 || r.Message != "m" || r.RetryMs != 9 {
			t.Errorf("%s was told %v", id, r)
		}
		for _, d := range r.Devices {
			if owner(d) != id {
				t.Errorf("%s was asked for %s's device %s", id, owner(d), d)
			}
		}
	}
	if n != len(req.Devices) {
		t.Errorf("%d devices were passed on", n)
	}
	if got := metric(t, w.metrics, "longlink_coordinator_kicks_total", "OFFLINE"); got != 1 {
		t.Errorf("%v kicks are counted as OFFLINE", got)
	}
}

func TestKickWithoutRegisters(t *testing.T) {
	w := newWorld(t)
	rep, err := w.client.Kick(context.Background(), &api.KickRequest{Devices: []string{"d"}})
	if err != nil || code.Code(rep.Results[0].Result.Code) != code.Unavailable {
		t.Errorf("%v, %v", rep, err)
	}
	if w.coord.Check(context.Background()) == nil {
		t.Error("ready without a register")
	}
}

func TestKickAnsweredOutOfStep(t *testing.T) {
	w := newWorld(t, "r1")
	w.registers["r1"].short = true
	rep, err := w.client.Kick(context.Background(), &api.KickRequest{Devices: []string{"d"}})
	if err != nil || code.Code(rep.Results[0].Result.Code) != code.Internal {
		t.Errorf("%v, %v", rep, err)
	}
}

func TestKickOfTooMany(t *testing.T) {
	w := newWorld(t, "r1")
	_, err := w.client.Kick(context.Background(), &api.KickRequest{Devices: make([]string, maxKick+1)})
	if e := rpc.FromStatus(err); e == nil || e.Code != code.TooManyTargets || e.Field != "devices" {
		t.Errorf("%v", err)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	w := newWorld(t, "r1")
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.coord.Run(ctx, cancel) }()
	if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
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
