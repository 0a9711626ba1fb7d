package room

import (
	"context"
	"slices"
	"sync"

	"google.golang.org/grpc"

	"longlink/pkg/api"
	"longlink/pkg/code"
	"longlink/pkg/rpc"
)

// fakeCoordinator keeps the upstream log in memory, each up_id once.
type fakeCoordinator struct {
	api.UnimplementedCoordinatorServer

	mu    sync.Mutex
	judge func(it *api.UpItem) *code.Error // answered when it is set and gives one
	gate  chan struct{}                    // while set, a batch waits until it is closed or its stream ends
	asked []*api.UpItem                    // all that came
	log   []*api.UpItem
}

func (f *fakeCoordinator) set(change func(f *fakeCoordinator)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

func (f *fakeCoordinator) Up(s grpc.BidiStreamingServer[api.UpstreamBatch, api.UpstreamReply]) error {
	return rpc.ServeBatches(s, func(n uint64, res []*api.UpResult) *api.UpstreamReply {
		return &api.UpstreamReply{Number: n, Results: res}
	}, func(ctx context.Context, _ *api.BatchHeader, items []*api.UpItem) (out []*api.UpResult) {
		var gate chan struct{}
		f.set(func(f *fakeCoordinator) { f.asked = append(f.asked, items...); gate = f.gate })
		if gate != nil {
			select {
			case <-gate:
			case <-ctx.Done():
			}
		}
		for _, it := range items {
			out = append(out, f.store(it))
		}
		return out
	})
}

func (f *fakeCoordinator) store(it *api.UpItem) *api.UpResult {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.judge != nil {
		if err := f.judge(it); err != nil {
			return &api.UpResult{Result: rpc.ResultOf(err)}
		}
	}
	for _, old := range f.log {
		if old.Device == it.Device && old.Product == it.Product && old.UpId == it.UpId {
			return &api.UpResult{Duplicate: true}
		}
	}
	f.log = append(f.log, it)
	return &api.UpResult{Seq: uint64(len(f.log))}
}

// hold lets batches wait; the function that it returns lets them go.
func (f *fakeCoordinator) hold() (release func()) {
	gate := make(chan struct{})
	f.set(func(f *fakeCoordinator) { f.gate = gate })
	return sync.OnceFunc(func() {
		f.set(func(f *fakeCoordinator) { f.gate = nil })
		close(gate)
	})
}

// stored is a copy of the log.
func (f *fakeCoordinator) stored() (log []*api.UpItem) {
	f.set(func(f *fakeCoordinator) { log = slices.Clone(f.log) })
	return log
}

// ids lists what is in the log of a device and product.
func (f *fakeCoordinator) ids(device, product string) (ids []uint64) {
	for _, it := range f.stored() {
		if it.Device == device && it.Product == product {
			ids = append(ids, it.UpId)
		}
	}
	return ids
}

func (f *fakeCoordinator) count() (n int) {
	f.set(func(f *fakeCoordinator) { n = len(f.asked) })
	return n
}
