package coordinator

import (
	"context"
	"time"

	"google.golang.org/grpc"

	"longlink/pkg/api"
	"longlink/pkg/code"
	"longlink/pkg/rpc"
	"longlink/pkg/slot"
	"longlink/pkg/wire"
)

// Up implements api.CoordinatorServer. Called by room. Every item has its own
// result, OK once a saver has it in the ledger: UNKNOWN_PRODUCT,
// INVALID_ARGUMENT or PAYLOAD_TOO_LARGE when it never can be; HOLD and
// RATE_LIMITED when too much is on its way; UNAVAILABLE or DEADLINE when no
// saver answers. What was not answered OK may be stored all the same; the same
// up_id sent again is stored once.
func (c *Coordinator) Up(s grpc.BidiStreamingServer[api.UpstreamBatch, api.UpstreamReply]) error {
	return rpc.ServeBatches(s, func(number uint64, results []*api.UpResult) *api.UpstreamReply {
		return &api.UpstreamReply{Number: number, Results: results}
	}, func(ctx context.Context, _ *api.BatchHeader, items []*api.UpItem) []*api.UpResult {
		return c.up(ctx, items)
	})
}

// up passes a batch on, all savers at once, and answers within call_timeout or
// the most time that an item has left.
func (c *Coordinator) up(ctx context.Context, items []*api.UpItem) []*api.UpResult {
	a, longest := newAnswers(len(items)), time.Duration(0)
	for i, it := range items {
		patience := c.patience(it)
		longest = max(longest, patience)
		if err := c.take(it); err != nil {
			a.set(i, &api.UpResult{Result: rpc.ResultOf(err)})
			continue
		}
		product, size := it.Product, sizeOf(it)
		c.upstream.ToOwner(partition(it.Device), slot.Key(it.Device), time.Now().Add(patience), it, func(res *api.UpResult, err *code.Error) {
			c.held.give(product, size)
			if err != nil {
				res = &api.UpResult{Result: rpc.ResultOf(err)}
			}
			a.set(i, res)
		})
	}
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	results := a.wait(ctx)
	for i, res := range results {
		if res == nil {
			results[i] = &api.UpResult{Result: rpc.ResultOf(code.Errorf(code.Deadline, "no saver has answered in time"))}
		}
		c.metrics.upstream.WithLabelValues(code.Code(results[i].GetResult().GetCode()).String()).Inc()
	}
	return results
}

// patience is how long an item may wait for its saver.
func (c *Coordinator) patience(it *api.UpItem) time.Duration {
	most := c.cfg.CallTimeout.Std()
	if ms := it.GetMeta().GetRemainingMs(); ms > 0 {
		most = min(most, time.Duration(ms)*time.Millisecond*4/5) // a fifth is for the way back
	}
	return most
}

// partition is the first slot of a device's partition of the upstream log. One
// saver takes all of a partition, or savers would wait for each other's lock on
// it; that every other one could, too, is what makes a move harmless.
func partition(device string) uint16 { return slot.Tag(slot.Of(device)) * slot.PerTag }

// take judges an item and counts it into what is on its way.
func (c *Coordinator) take(it *api.UpItem) *code.Error {
	switch {
	case !wire.ValidName(it.GetDevice()):
		return code.Invalid("device", "a device id has 1 to %d characters A-Z a-z 0-9 . _ ~ -", wire.MaxName)
	case !wire.ValidName(it.Kind):
		return code.Invalid("kind", "a kind has 1 to %d characters A-Z a-z 0-9 . _ ~ -", wire.MaxName)
	case it.UpId == 0 || it.UpId>>63 != 0:
		return code.Invalid("up_id", "it must be above 0 and below 2^63")
	case len(it.Payload) > wire.MaxUpPayload:
		return code.Errorf(code.PayloadTooLarge, "%d bytes, %d are allowed", len(it.Payload), wire.MaxUpPayload).WithField("payload")
	case len(it.Ext) > wire.MaxUpExt:
		return code.Errorf(code.PayloadTooLarge, "%d bytes, %d are allowed", len(it.Ext), wire.MaxUpExt).WithField("ext")
	}
	if _, ok := c.deps.Directory.Product(it.Product); !ok {
		return code.Errorf(code.UnknownProduct, "there is no product %q", it.Product).WithField("product")
	}
	if it.Meta == nil {
		it.Meta = &api.Meta{} // the remaining time travels in it
	}
	return c.held.take(it.Product, sizeOf(it))
}
