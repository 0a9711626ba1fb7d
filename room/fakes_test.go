package room

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"

	"longlink/pkg/api"
	"longlink/pkg/cluster"
	"longlink/pkg/code"
	"longlink/pkg/rpc"
)

// fakeRegister keeps sessions by device and compares epochs.
type fakeRegister struct {
	api.UnimplementedRegisterServer

	mu       sync.Mutex
	fail     *code.Error             // answered instead, while set
	winner   *api.SessionResult      // answered instead, while set
	sessions map[string]*api.Session // by device
	puts     []*api.SessionItem
	deletes  []*api.SessionItem
	refilled []*api.RefilledRequest
	asked    int
	waits    bool          // the answer to that; ends with the next refill
	begun    int           // refills that were reported, taken or not
	hold     chan struct{} // they are answered when it is closed; nil: at once
}

func (f *fakeRegister) Update(s grpc.BidiStreamingServer[api.SessionBatch, api.SessionReply]) error {
	return rpc.ServeBatches(s, func(n uint64, res []*api.SessionResult) *api.SessionReply {
		return &api.SessionReply{Number: n, Results: res}
	}, func(_ context.Context, _ *api.BatchHeader, items []*api.SessionItem) (out []*api.SessionResult) {
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, it := range items {
			out = append(out, f.update(it))
		}
		return out
	})
}

func (f *fakeRegister) update(it *api.SessionItem) *api.SessionResult {
	if f.fail != nil {
		return &api.SessionResult{Result: rpc.ResultOf(f.fail)}
	}
	s := it.Session
	old := f.sessions[s.Device]
	if it.Op == api.SessionItem_OP_DELETE {
		f.deletes = append(f.deletes, it)
		if old != nil && old.Epoch == s.Epoch {
			delete(f.sessions, s.Device)
		}
		return &api.SessionResult{}
	}
	f.puts = append(f.puts, it)
	if f.winner != nil {
		return f.winner
	}
	if old == nil || old.Epoch <= s.Epoch {
		f.sessions[s.Device] = s
	}
	return &api.SessionResult{WinnerRoom: f.sessions[s.Device].Room, WinnerEpoch: f.sessions[s.Device].Epoch}
}

func (f *fakeRegister) Refilled(ctx context.Context, req *api.RefilledRequest) (*api.RefilledReply, error) {
	var hold chan struct{}
	f.set(func(f *fakeRegister) {
		if len(req.Slots) > 0 {
			f.begun++
			hold = f.hold
		}
	})
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(req.Slots) == 0 { // the question whether the room is waited for
		f.asked++
		if f.waits {
			return nil, code.Errorf(code.FailedPrecondition, "waiting")
		}
		return &api.RefilledReply{}, nil
	}
	f.refilled, f.waits = append(f.refilled, req), false
	return &api.RefilledReply{}, nil
}

// session is what the register knows of a device, nil when nothing.
func (f *fakeRegister) session(device string) *api.Session {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.sessions[device]
}

func (f *fakeRegister) set(change func(f *fakeRegister)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

// fakeSaver keeps lanes in memory, by device and product.
type fakeSaver struct {
	api.UnimplementedSaverServer

	mu    sync.Mutex
	fail  *code.Error // answered instead, while set
	clock uint64
	lanes map[string][]*api.LaneMessage
	acks  map[string]uint64
	loads []*api.LoadItem
}

func laneKey(device, product string) string { return device + "/" + product }

func (f *fakeSaver) set(change func(f *fakeSaver)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

// append stores a message and returns it with its place.
func (f *fakeSaver) append(device, product string, m *api.Message) *api.LaneMessage {
	f.mu.Lock()
	defer f.mu.Unlock()
	k := laneKey(device, product)
	f.clock += 10
	lm := &api.LaneMessage{Seq: f.clock, Message: m}
	if n := len(f.lanes[k]); n > 0 {
		lm.Prev = f.lanes[k][n-1].Seq
	}
	f.lanes[k] = append(f.lanes[k], lm)
	return lm
}

func (f *fakeSaver) acked(device, product string) uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.acks[laneKey(device, product)]
}

func (f *fakeSaver) Load(s grpc.BidiStreamingServer[api.LoadBatch, api.LoadReply]) error {
	return rpc.ServeBatches(s, func(n uint64, res []*api.LoadResult) *api.LoadReply {
		return &api.LoadReply{Number: n, Results: res}
	}, func(_ context.Context, _ *api.BatchHeader, items []*api.LoadItem) (out []*api.LoadResult) {
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, it := range items {
			out = append(out, f.load(it))
		}
		return out
	})
}

func (f *fakeSaver) load(it *api.LoadItem) *api.LoadResult {
	f.loads = append(f.loads, it)
	if f.fail != nil {
		return &api.LoadResult{Result: rpc.ResultOf(f.fail)}
	}
	k := laneKey(it.Device, it.Product)
	after := it.After
	if it.Login {
		after = min(after, f.clock)
		f.trim(k, after)
	}
	res := &api.LoadResult{Cursor: after, AsOf: f.clock}
	bytes := 0
	for _, m := range f.lanes[k] {
		res.Tail = m.Seq
		if m.Seq <= after {
			continue
		}
		if n := len(m.Message.Payload); len(res.Messages) > 0 && (len(res.Messages) >= int(it.MaxMessages) || bytes+n > int(it.MaxBytes)) {
			res.More = true
			continue
		}
		bytes += len(m.Message.Payload)
		res.Messages = append(res.Messages, m)
	}
	return res
}

func (f *fakeSaver) trim(k string, seq uint64) {
	f.lanes[k] = slices.DeleteFunc(f.lanes[k], func(m *api.LaneMessage) bool { return m.Seq <= seq })
}

func (f *fakeSaver) Ack(s grpc.BidiStreamingServer[api.AckBatch, api.AckReply]) error {
	return rpc.ServeBatches(s, func(n uint64, res []*api.AckResult) *api.AckReply {
		return &api.AckReply{Number: n, Results: res}
	}, func(_ context.Context, _ *api.BatchHeader, items []*api.AckItem) (out []*api.AckResult) {
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, it := range items {
			if f.fail != nil {
				out = append(out, &api.AckResult{Result: rpc.ResultOf(f.fail)})
				continue
			}
			k := laneKey(it.Device, it.Product)
			f.acks[k] = max(f.acks[k], it.Seq)
			f.trim(k, it.Seq)
			out = append(out, &api.AckResult{})
		}
		return out
	})
}

// fakeDirectory is a cluster.Directory whose secrets may be slow to come.
type fakeDirectory struct {
	hook     atomic.Pointer[func()] // called first, when set
	mu       sync.Mutex
	products map[string]*cluster.Product
	changed  chan struct{} // nil until somebody waits
	secrets  cluster.Secrets
}

// remove deletes a product as keeper would.
func (d *fakeDirectory) remove(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.products, name)
	if d.changed != nil {
		close(d.changed)
		d.changed = nil
	}
}

func (d *fakeDirectory) Changed() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.changed == nil {
		d.changed = make(chan struct{})
	}
	return d.changed
}

func (d *fakeDirectory) Product(name string) (*cluster.Product, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p, ok := d.products[name]
	return p, ok
}

func (d *fakeDirectory) Products() (all []*cluster.Product) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, p := range d.products {
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b *cluster.Product) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

func (d *fakeDirectory) Secrets() *cluster.Secrets {
	if hook := d.hook.Load(); hook != nil {
		(*hook)()
	}
	return &d.secrets
}
