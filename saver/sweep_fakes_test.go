package saver

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"

	"longlink/pkg/api"
	"longlink/pkg/cluster"
	"longlink/pkg/code"
	"longlink/pkg/config"
	"longlink/pkg/rpc"
)

// fakeRegister answers locates from a table, and counts them.
type fakeRegister struct {
	api.UnimplementedRegisterServer
	mu       sync.Mutex
	fail     []*code.Error                // the answers of the next locates
	sessions map[string]*api.LocateResult // by device; else OFFLINE
	asked    int
}

func (f *fakeRegister) Locate(s grpc.BidiStreamingServer[api.LocateBatch, api.LocateReply]) error {
	return rpc.ServeBatches(s, func(n uint64, res []*api.LocateResult) *api.LocateReply {
		return &api.LocateReply{Number: n, Results: res}
	}, func(_ context.Context, _ *api.BatchHeader, items []*api.LocateItem) (out []*api.LocateResult) {
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, it := range items {
			f.asked++
			switch at := f.sessions[it.Device]; {
			case len(f.fail) > 0:
				out = append(out, &api.LocateResult{Result: rpc.ResultOf(f.fail[0])})
				f.fail = f.fail[1:]
			case at == nil:
				out = append(out, &api.LocateResult{Result: rpc.ResultOf(code.Errorf(code.Offline, "the device is not connected"))})
			default:
				out = append(out, at)
			}
		}
		return out
	})
}

// fakeRoom answers deliveries with the states it was told; then by the rule, as
// a connection that has sent everything up to sent.
type fakeRoom struct {
	api.UnimplementedRoomServer
	mu     sync.Mutex
	states []api.DeliverResult_State
	sent   map[string]uint64 // by device
	got    []*api.DeliverItem
	when   time.Time // of the last one
}

func (f *fakeRoom) Deliver(s grpc.BidiStreamingServer[api.DeliverBatch, api.DeliverReply]) error {
	return rpc.ServeBatches(s, func(n uint64, res []*api.DeliverResult) *api.DeliverReply {
		return &api.DeliverReply{Number: n, Results: res}
	}, func(_ context.Context, _ *api.BatchHeader, items []*api.DeliverItem) (out []*api.DeliverResult) {
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, it := range items {
			state := api.DeliverResult_STATE_HAVE
			if it.Message.Seq <= f.sent[it.Device] {
				state = api.DeliverResult_STATE_DUPLICATE
			}
			if len(f.states) > 0 {
				state, f.states = f.states[0], f.states[1:]
			}
			f.got, f.when = append(f.got, it), time.Now()
			out = append(out, &api.DeliverResult{State: state})
		}
		return out
	})
}

func (f *fakeRoom) deliveries() []*api.DeliverItem {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]*api.DeliverItem(nil), f.got...)
}

// around is the cluster that a sweep calls: a register and two rooms.
type around struct {
	w     *world
	reg   *fakeRegister
	rooms map[string]*fakeRoom
	all   []cluster.Instance
	rev   uint64
}

// sweepAfter is the sweeps' `after` in tests.
const sweepAfter = 200 * time.Millisecond

func withCluster(t testing.TB, w *world) *around {
	a := &around{w: w, reg: &fakeRegister{sessions: map[string]*api.LocateResult{}}, rev: 1,
		rooms: map[string]*fakeRoom{"room-1": {sent: map[string]uint64{}}, "room-2": {sent: map[string]uint64{}}}}
	w.cfg.Sweep.After = config.Duration(sweepAfter)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var wg sync.WaitGroup
	t.Cleanup(func() { stop(); wg.Wait() })
	serve := func(kind cluster.Kind, id string, register func(grpc.ServiceRegistrar)) {
		srv, err := w.net.Listen(id, register)
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			if err := srv.Serve(ctx); err != nil {
				t.Error(err)
			}
		})
		a.all = append(a.all, cluster.Instance{Kind: kind, ID: id, Epoch: 7, State: cluster.Ready, RPC: srv.Addr()})
	}
	serve(cluster.Register, "register-1", func(r grpc.ServiceRegistrar) { api.RegisterRegisterServer(r, a.reg) })
	for _, id := range []string{"room-1", "room-2"} {
		serve(cluster.Room, id, func(r grpc.ServiceRegistrar) { api.RegisterRoomServer(r, a.rooms[id]) })
	}
	a.show()
	return a
}

// show sets a view of the register, the rooms and these savers.
func (a *around) show(savers ...*running) {
	a.rev++
	all := append([]cluster.Instance(nil), a.all...)
	for _, s := range savers {
		all = append(all, s.self)
	}
	a.w.views.Set(cluster.NewView(a.rev, all))
}

// online puts the device into a room.
func (a *around) online(device, room string) {
	a.reg.mu.Lock()
	defer a.reg.mu.Unlock()
	a.reg.sessions[device] = &api.LocateResult{Room: room, RoomEpoch: 7, Conn: 1, Epoch: 2}
}

func (a *around) asked() int {
	a.reg.mu.Lock()
	defer a.reg.mu.Unlock()
	return a.reg.asked
}

// swept is what the sweep of a saver has counted, as "HAVE 1, OFFLINE 2".
func (r *running) swept() string {
	r.t.Helper()
	all, err := r.reg.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	var out []string
	for _, f := range all {
		if f.GetName() != "longlink_saver_sweep_redeliveries_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			out = append(out, fmt.Sprint(m.GetLabel()[0].GetValue(), " ", m.GetCounter().GetValue()))
		}
	}
	return strings.Join(out, ", ")
}

// settles waits until the sweep holds nothing.
func (r *running) settles() {
	r.t.Helper()
	eventually(r.t, "the sweep settles", func() bool { return r.sweep.table.len() == 0 })
}
