package saver

import (
	"context"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"

	"longlink/pkg/api"
	"longlink/pkg/code"
	"longlink/pkg/rpc"
	"longlink/pkg/slot"
	"longlink/pkg/wire"
	"longlink/saver/ledger"
)

// Upstream implements api.SaverServer.
func (d *door) Upstream(st grpc.BidiStreamingServer[api.UpstreamBatch, api.UpstreamReply]) error {
	return rpc.ServeBatches(st, func(n uint64, r []*api.UpResult) *api.UpstreamReply {
		return &api.UpstreamReply{Number: n, Results: r}
	}, func(_ context.Context, _ *api.BatchHeader, items []*api.UpItem) []*api.UpResult {
		return d.s.Upstream(items)
	})
}

// upJob is the items of one call for one partition, in their order. They are
// stored together or not at all, but for those that are late: were one refused
// and the device's next one taken, their order would be lost.
type upJob struct {
	ups   []*ledger.Up
	until []time.Time // the deadline of each; zero: none
	bytes int         // of ext and payload
	late  map[*ledger.Up]bool
	err   *code.Error
	done  bool
	wg    *sync.WaitGroup
}

// inTime is what is to be stored. An item whose time is over, and whatever its
// device has of the same product behind it, is late: nobody else's is.
func (j *upJob) inTime(now time.Time) []*ledger.Up {
	var behind map[[2]string]bool
	for i, u := range j.ups {
		lane := [2]string{u.Device, u.Product}
		if !behind[lane] && (j.until[i].IsZero() || !now.After(j.until[i])) {
			continue
		}
		if behind == nil {
			behind, j.late = map[[2]string]bool{}, map[*ledger.Up]bool{}
		}
		behind[lane], j.late[u] = true, true
	}
	if j.late == nil {
		return j.ups
	}
	return slices.DeleteFunc(slices.Clone(j.ups), func(u *ledger.Up) bool { return j.late[u] })
}

// result is the answer for one of the items, once the job is done.
func (j *upJob) result(u *ledger.Up) *api.UpResult {
	switch {
	case j.late[u]:
		return &api.UpResult{Result: rpc.ResultOf(code.Errorf(code.Deadline, "waited too long in the saver; nothing was done"))}
	case j.err != nil:
		return &api.UpResult{Result: rpc.ResultOf(j.err)}
	}
	return &api.UpResult{Seq: u.Seq, Duplicate: u.Duplicate}
}

// Upstream stores data of devices in the log of their partitions; results in
// the items' order, once the ledger has committed them. Whatever is refused may
// be sent again under the same up_id, and is stored once.
func (s *Saver) Upstream(items []*api.UpItem) []*api.UpResult {
	now := time.Now()
	out := make([]*api.UpResult, len(items))
	ups, jobs := make([]*ledger.Up, len(items)), make([]*upJob, len(items))
	byPart := map[uint16]*upJob{}
	var parts []uint16
	var wg sync.WaitGroup
	for i, it := range items {
		u, e := s.upOf(it, now)
		if e != nil {
			out[i] = &api.UpResult{Result: rpc.ResultOf(e)}
			continue
		}
		j := byPart[u.Part]
		if j == nil {
			j = &upJob{wg: &wg}
			byPart[u.Part], parts = j, append(parts, u.Part)
		}
		j.ups, j.until, j.bytes = append(j.ups, u), append(j.until, until(it.Meta)), j.bytes+len(u.Ext)+len(u.Payload)
		ups[i], jobs[i] = u, j
	}
	wg.Add(len(parts))
	for _, p := range parts {
		s.upstream.put(p, byPart[p])
	}
	wg.Wait()
	for i, j := range jobs {
		if j != nil {
			out[i] = j.result(ups[i])
		}
		s.metrics.upstreamed(out[i])
	}
	return out
}

// upLate bounds how far received_ms may lie before now. Beyond that some clock
// is wrong, and data must not expire because of it.
const upLate = time.Hour

// upOf checks an item and makes its row; the error names the field.
func (s *Saver) upOf(it *api.UpItem, now time.Time) (*ledger.Up, *code.Error) {
	if e := checkLane(it.GetDevice(), it.GetProduct()); e != nil {
		return nil, e
	}
	switch {
	case !wire.ValidName(it.Kind):
		return nil, code.Invalid("kind", "must be 1 to 64 of A-Z a-z 0-9 . _ ~ -")
	case it.UpId == 0:
		return nil, code.Invalid("up_id", "must not be 0")
	case it.Flags > 0xff:
		return nil, code.Invalid("flags", "must fit one byte, not %d", it.Flags)
	case it.Epoch >= 1<<63:
		return nil, code.Invalid("epoch", "must be below 2^63")
	case it.ReceivedMs <= 0:
		return nil, code.Invalid("received_ms", "must be when the room received it, in Unix milliseconds")
	case len(it.Ext) > wire.MaxUpExt:
		return nil, code.Errorf(code.PayloadTooLarge, "ext has %d bytes, at most %d can be stored", len(it.Ext), wire.MaxUpExt).WithField("ext")
	case len(it.Payload) > wire.MaxUpPayload:
		return nil, code.Errorf(code.PayloadTooLarge, "the payload has %d bytes, at most %d can be stored", len(it.Payload), wire.MaxUpPayload).WithField("payload")
	}
	received := min(max(it.ReceivedMs, now.Add(-upLate).UnixMilli()), now.UnixMilli())
	u := &ledger.Up{Part: slot.Tag(slot.Of(it.Device)), Product: it.Product, Device: it.Device, Kind: it.Kind, UpID: it.UpId,
		Epoch: it.Epoch, Flags: uint8(it.Flags), ReceivedMS: received, ExpiresMS: received + s.cfg.Upstream.Retention.Std().Milliseconds(),
		Ext: it.Ext, Payload: it.Payload}
	if id := it.Meta.GetRequestId(); wire.ValidName(id) { // another one is for nobody's log, but no reason to refuse data
		u.RequestID = id
	}
	return u, nil
}
