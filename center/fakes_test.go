package center

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"

	"longlink/pkg/api"
	"longlink/pkg/cluster"
	"longlink/pkg/code"
	"longlink/pkg/rpc"
	"longlink/pkg/token"
)

// fakeRegister knows sessions.
type fakeRegister struct {
	api.UnimplementedRegisterServer
	mu       sync.Mutex
	fail     []*code.Error // answers of the next locates
	always   *code.Error   // of every locate and description
	sessions map[string]*api.Session
	deleted  []*api.Session
	locates  int
}

func newFakeRegister() *fakeRegister { return &fakeRegister{sessions: map[string]*api.Session{}} }

// online makes a device known at room-1 with the products.
func (f *fakeRegister) online(device string, epoch uint64, products ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := &api.Session{Device: device, Room: "room-1", RoomEpoch: 7, Conn: epoch, Epoch: epoch, Network: "wifi", Client: "sdk/1", SinceMs: 1_700_000_000_000}
	for _, p := range products {
		s.Bindings = append(s.Bindings, &api.SessionBinding{Product: p, Tags: []string{"t-" + p}})
	}
	f.sessions[device] = s
}

func (f *fakeRegister) Locate(s grpc.BidiStreamingServer[api.LocateBatch, api.LocateReply]) error {
	return rpc.ServeBatches(s, func(n uint64, res []*api.LocateResult) *api.LocateReply {
		return &api.LocateReply{Number: n, Results: res}
	}, func(_ context.Context, _ *api.BatchHeader, items []*api.LocateItem) (out []*api.LocateResult) {
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, it := range items {
			out = append(out, f.locate(it))
		}
		return out
	})
}

func (f *fakeRegister) locate(it *api.LocateItem) *api.LocateResult {
	f.locates++
	err := f.always
	if len(f.fail) > 0 {
		err, f.fail = f.fail[0], f.fail[1:]
	}
	s := f.sessions[it.Device]
	if err == nil && (s == nil || !slices.ContainsFunc(s.Bindings, func(b *api.SessionBinding) bool { return b.Product == it.Product })) {
		err = code.Errorf(code.Offline, "the device is not connected")
	}
	if err != nil {
		return &api.LocateResult{Result: rpc.ResultOf(err)}
	}
	return &api.LocateResult{Room: s.Room, RoomEpoch: s.RoomEpoch, Conn: s.Conn, Epoch: s.Epoch}
}

func (f *fakeRegister) Update(s grpc.BidiStreamingServer[api.SessionBatch, api.SessionReply]) error {
	return rpc.ServeBatches(s, func(n uint64, res []*api.SessionResult) *api.SessionReply {
		return &api.SessionReply{Number: n, Results: res}
	}, func(_ context.Context, _ *api.BatchHeader, items []*api.SessionItem) (out []*api.SessionResult) {
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, it := range items {
			f.deleted = append(f.deleted, it.Session)
			if s := f.sessions[it.Session.Device]; s != nil && s.Epoch == it.Session.Epoch {
				delete(f.sessions, it.Session.Device)
			}
			out = append(out, &api.SessionResult{})
		}
		return out
	})
}

func (f *fakeRegister) Describe(_ context.Context, r *api.DescribeRequest) (*api.DescribeReply, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := &api.DescribeReply{}
	for _, d := range r.Devices {
		x := &api.DescribeResult{Session: f.sessions[d]}
		if err := f.always; err != nil {
			x = &api.DescribeResult{Result: rpc.ResultOf(err)}
		} else if x.Session == nil {
			x.Result = rpc.ResultOf(code.Errorf(code.Offline, "not connected"))
		}
		out.Results = append(out.Results, x)
	}
	return out, nil
}

func (f *fakeRegister) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// fakeRoom takes deliveries.
type fakeRoom struct {
	api.UnimplementedRoomServer
	mu     sync.Mutex
	states []api.DeliverResult_State // of the next deliveries; then SENT
	fail   []*code.Error             // of the next deliveries
	hold   chan struct{}             // while set: deliveries are answered when it is closed
	got    []*api.DeliverItem
	onItem func(*api.DeliverItem) // called for each
}

func (f *fakeRoom) Deliver(s grpc.BidiStreamingServer[api.DeliverBatch, api.DeliverReply]) error {
	return rpc.ServeBatches(s, func(n uint64, res []*api.DeliverResult) *api.DeliverReply {
		return &api.DeliverReply{Number: n, Results: res}
	}, func(ctx context.Context, _ *api.BatchHeader, items []*api.DeliverItem) (out []*api.DeliverResult) {
		f.mu.Lock()
		hold := f.hold
		f.mu.Unlock()
		if hold != nil {
			select {
			case <-hold:
			case <-ctx.Done():
			}
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, it := range items {
			out = append(out, f.deliver(it))
		}
		return out
	})
}

func (f *fakeRoom) deliver(it *api.DeliverItem) *api.DeliverResult {
	if len(f.fail) > 0 {
		e := f.fail[0]
		f.fail = f.fail[1:]
		if e != nil {
			return &api.DeliverResult{Result: rpc.ResultOf(e)}
		}
	}
	f.got = append(f.got, it)
	if f.onItem != nil {
		f.onItem(it)
	}
	state := api.DeliverResult_STATE_SENT
	if len(f.states) > 0 {
		state, f.states = f.states[0], f.states[1:]
	}
	return &api.DeliverResult{State: state}
}

func (f *fakeRoom) items() []*api.DeliverItem {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.got)
}

func (f *fakeRoom) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// fakeCoordinator notes kicks.
type fakeCoordinator struct {
	api.UnimplementedCoordinatorServer
	mu   sync.Mutex
	fail []*code.Error
	got  []*api.KickRequest
}

func (f *fakeCoordinator) Kick(_ context.Context, r *api.KickRequest) (*api.KickReply, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.got = append(f.got, r)
	res := &api.KickResult{}
	if len(f.fail) > 0 {
		res.Result, f.fail = rpc.ResultOf(f.fail[0]), f.fail[1:]
	}
	return &api.KickReply{Results: []*api.KickResult{res}}, nil
}

// fakeKeeper lists one instance, or fails.
type fakeKeeper struct {
	api.UnimplementedKeeperServer
	mu   sync.Mutex
	fail error
}

func (f *fakeKeeper) Services(context.Context, *api.ServicesRequest) (*api.ServicesReply, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return nil, f.fail
	}
	return &api.ServicesReply{Revision: 9, Instances: []*api.ServiceInstance{{Kind: "room", Id: "room-1", Epoch: 7, State: "ready", StartedMs: 1_700_000_000_000, Figures: map[string]float64{"connections": 3}}}}, nil
}

// fakeProducts is the directory and keeper's client.
type fakeProducts struct {
	mu      sync.Mutex
	all     map[string]*cluster.Product
	secrets *cluster.Secrets
}

func (f *fakeProducts) Product(name string) (*cluster.Product, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p, ok := f.all[name]
	return p, ok
}

func (f *fakeProducts) Products() []*cluster.Product {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []*cluster.Product
	for _, p := range f.all {
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b *cluster.Product) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func (f *fakeProducts) Secrets() *cluster.Secrets { return f.secrets }

// Changed never tells: center looks products up at each call.
func (f *fakeProducts) Changed() <-chan struct{} { return nil }

func (f *fakeProducts) CreateProduct(_ context.Context, name string) (*cluster.Product, string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.all[name] != nil {
		return nil, "", code.Errorf(code.AlreadyExists, "there is a product %s already", name)
	}
	key, h := token.NewKey(time.Now())
	f.all[name] = &cluster.Product{Name: name, CreatedMS: 1, Keys: []cluster.KeyHash{h}, GrantSecrets: []cluster.GrantSecret{token.NewSecret()}}
	return f.all[name], key, nil
}

func (f *fakeProducts) RotateKey(_ context.Context, name string, _ bool) (*cluster.Product, string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	old := f.all[name]
	if old == nil {
		return nil, "", code.Errorf(code.UnknownProduct, "there is no product %s", name).WithField("product")
	}
	key, h := token.NewKey(time.Now())
	next := *old
	next.Keys = []cluster.KeyHash{h}
	f.all[name] = &next
	return &next, key, nil
}

func (f *fakeProducts) DeleteProduct(_ context.Context, name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.all[name] == nil {
		return code.Errorf(code.UnknownProduct, "there is no product %s", name).WithField("product")
	}
	delete(f.all, name)
	return nil
}
