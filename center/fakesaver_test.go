package center

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc"

	"longlink/pkg/api"
	"longlink/pkg/code"
	"longlink/pkg/rpc"
	"longlink/pkg/trace"
)

// fakeSaver stores messages by lane and remembers dedup ids for ever.
type fakeSaver struct {
	api.UnimplementedSaverServer
	mu      sync.Mutex
	fail    []*code.Error // answers of the next appends; nil entries succeed
	down    *code.Error   // while set: of every call
	hold    chan struct{} // while set: appends are answered when it is closed
	clock   uint64
	lanes   map[string][]*api.LaneMessage // device/product
	dedup   map[string]*api.AppendResult
	acked   map[string]uint64
	ackCond chan struct{} // closed and replaced at every ack
	metas   []string      // request ids of appends
	aliases fakeAliases
	log     *fakeLog            // may be shared
	found   []*api.FoundMessage // of m-1
	ring    *trace.Ring
}

func newFakeSaver() *fakeSaver {
	return &fakeSaver{lanes: map[string][]*api.LaneMessage{}, dedup: map[string]*api.AppendResult{}, acked: map[string]uint64{}, ackCond: make(chan struct{}), clock: 1_700_000_000_000_000, log: &fakeLog{page: 1000}, found: []*api.FoundMessage{foundMessage("demo", "on"), foundMessage("shop", "on")}}
}

func (f *fakeSaver) Append(s grpc.BidiStreamingServer[api.AppendBatch, api.AppendReply]) error {
	return rpc.ServeBatches(s, func(n uint64, res []*api.AppendResult) *api.AppendReply {
		return &api.AppendReply{Number: n, Results: res}
	}, func(ctx context.Context, _ *api.BatchHeader, items []*api.AppendItem) (out []*api.AppendResult) {
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
			out = append(out, f.append(it))
		}
		return out
	})
}

func (f *fakeSaver) append(it *api.AppendItem) *api.AppendResult {
	f.metas = append(f.metas, it.Meta.RequestId)
	if f.down != nil {
		return &api.AppendResult{Result: rpc.ResultOf(f.down)}
	}
	if len(f.fail) > 0 {
		e := f.fail[0]
		f.fail = f.fail[1:]
		if e != nil {
			return &api.AppendResult{Result: rpc.ResultOf(e)}
		}
	}
	lane := it.Device + "/" + it.Product
	if d := it.Message.DedupId; d != "" {
		if first := f.dedup[lane+"/"+d]; first != nil {
			return &api.AppendResult{Seq: first.Seq, Id: first.Id, Duplicate: true, ExpiresMs: first.ExpiresMs}
		}
	}
	f.clock++
	m := &api.LaneMessage{Seq: f.clock, Message: it.Message}
	if n := len(f.lanes[lane]); n > 0 {
		m.Prev = f.lanes[lane][n-1].Seq
	}
	f.lanes[lane] = append(f.lanes[lane], m)
	r := &api.AppendResult{Seq: m.Seq, Prev: m.Prev, Id: it.Message.Id, ExpiresMs: it.Message.ExpiresMs}
	f.ring.Add(trace.Event{Stage: trace.Stored, ID: r.Id, Product: it.Product, Device: it.Device, Seq: r.Seq})
	if d := it.Message.DedupId; d != "" {
		f.dedup[lane+"/"+d] = r
	}
	return r
}

func (f *fakeSaver) ack(lane string, seq uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.acked[lane] = seq
	close(f.ackCond)
	f.ackCond = make(chan struct{})
}

func (f *fakeSaver) WaitAck(ctx context.Context, r *api.WaitAckRequest) (*api.WaitAckReply, error) {
	for {
		f.mu.Lock()
		acked, changed := f.acked[r.Device+"/"+r.Product], f.ackCond
		f.mu.Unlock()
		if acked >= r.Seq {
			return &api.WaitAckReply{Acked: true}, nil
		}
		select {
		case <-changed:
		case <-time.After(time.Duration(r.WaitMs) * time.Millisecond):
			return nil, code.Errorf(code.Deadline, "not acknowledged")
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (f *fakeSaver) Pending(_ context.Context, r *api.PendingRequest) (*api.PendingReply, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down != nil {
		return nil, f.down
	}
	out := &api.PendingReply{}
	for _, p := range r.Products {
		out.Counts = append(out.Counts, uint64(len(f.lanes[r.Device+"/"+p])))
	}
	return out, nil
}

func (f *fakeSaver) lane(device, product string) []*api.LaneMessage {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lanes[device+"/"+product]
}

func (f *fakeSaver) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}
