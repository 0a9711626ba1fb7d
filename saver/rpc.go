package saver

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc"

	"longlink/pkg/api"
	"longlink/pkg/code"
	"longlink/pkg/rpc"
	"longlink/saver/lane"
)

// door is the RPC side. The broadcast log, of a later chapter, is answered
// UNIMPLEMENTED by the generated code.
type door struct {
	api.UnimplementedSaverServer
	s *Saver
}

// Append implements api.SaverServer.
func (d *door) Append(st grpc.BidiStreamingServer[api.AppendBatch, api.AppendReply]) error {
	return rpc.ServeBatches(st, func(n uint64, r []*api.AppendResult) *api.AppendReply {
		return &api.AppendReply{Number: n, Results: r}
	}, func(_ context.Context, _ *api.BatchHeader, items []*api.AppendItem) []*api.AppendResult {
		return d.s.Append(items)
	})
}

// Load implements api.SaverServer.
func (d *door) Load(st grpc.BidiStreamingServer[api.LoadBatch, api.LoadReply]) error {
	return rpc.ServeBatches(st, func(n uint64, r []*api.LoadResult) *api.LoadReply {
		return &api.LoadReply{Number: n, Results: r}
	}, func(_ context.Context, _ *api.BatchHeader, items []*api.LoadItem) []*api.LoadResult {
		return d.s.Load(items)
	})
}

// Ack implements api.SaverServer.
func (d *door) Ack(st grpc.BidiStreamingServer[api.AckBatch, api.AckReply]) error {
	return rpc.ServeBatches(st, func(n uint64, r []*api.AckResult) *api.AckReply {
		return &api.AckReply{Number: n, Results: r}
	}, func(_ context.Context, _ *api.BatchHeader, items []*api.AckItem) []*api.AckResult {
		return d.s.Ack(items)
	})
}

// maxWait bounds WaitAck.
const maxWait = 5 * time.Minute

// WaitAck implements api.SaverServer.
func (d *door) WaitAck(ctx context.Context, q *api.WaitAckRequest) (*api.WaitAckReply, error) {
	if e := checkLane(q.Device, q.Product); e != nil {
		return nil, e
	}
	acked, err := d.s.waitAck(ctx, lane.RefOf(q.Product, q.Device), q.Seq, min(time.Duration(q.WaitMs)*time.Millisecond, maxWait))
	if err != nil {
		return nil, err
	}
	return &api.WaitAckReply{Acked: acked}, nil
}

// maxProducts bounds Pending.
const maxProducts = 256

// Pending implements api.SaverServer.
func (d *door) Pending(_ context.Context, q *api.PendingRequest) (*api.PendingReply, error) {
	if len(q.Products) > maxProducts {
		return nil, code.Invalid("products", "at most %d at once", maxProducts)
	}
	for _, p := range q.Products {
		if e := checkLane(q.Device, p); e != nil {
			return nil, e
		}
	}
	return d.s.pending(q.Device, q.Products)
}

// Append stores messages; results in the items' order.
func (s *Saver) Append(items []*api.AppendItem) []*api.AppendResult {
	out := make([]*api.AppendResult, len(items))
	jobs := make([]*appendJob, len(items))
	var wg sync.WaitGroup
	for i, it := range items {
		j, e := s.appendJobOf(it)
		if e != nil {
			out[i] = &api.AppendResult{Result: rpc.ResultOf(e)}
			s.metrics.appends.WithLabelValues(e.Code.String()).Inc()
			continue
		}
		wg.Add(1)
		j.wg, jobs[i] = &wg, j
		s.appends.put(j)
	}
	wg.Wait()
	for i, j := range jobs {
		if j != nil {
			out[i] = j.result
			s.traceAppend(j)
		}
	}
	return out
}

// Load reads pages; results in the items' order.
func (s *Saver) Load(items []*api.LoadItem) []*api.LoadResult {
	out := make([]*api.LoadResult, len(items))
	jobs := make([]*loadJob, len(items))
	var claims []*claim
	var wg sync.WaitGroup
	for i, it := range items {
		j, e := s.loadJobOf(it, len(items))
		if e != nil {
			out[i] = &api.LoadResult{Result: rpc.ResultOf(e)}
			continue
		}
		wg.Add(1)
		j.wg, jobs[i] = &wg, j
		s.loads.put(j)
		if c := claimOf(it, time.Now()); c != nil {
			claims = append(claims, c)
		}
	}
	s.claims.hold(claims)
	wg.Wait()
	for i, j := range jobs {
		if j != nil {
			out[i] = j.result
		}
	}
	return out
}

// Ack trims lanes; results in the items' order.
func (s *Saver) Ack(items []*api.AckItem) []*api.AckResult {
	out := make([]*api.AckResult, len(items))
	jobs := make([]*ackJob, len(items))
	var wg sync.WaitGroup
	for i, it := range items {
		j, e := s.ackJobOf(it)
		if e != nil {
			out[i] = &api.AckResult{Result: rpc.ResultOf(e)}
			continue
		}
		wg.Add(1)
		j.wg, jobs[i] = &wg, j
		s.acks.put(j)
	}
	wg.Wait()
	for i, j := range jobs {
		if j != nil {
			out[i] = j.result
		}
	}
	return out
}
