package saver

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"longlink/pkg/api"
	"longlink/pkg/code"
	"longlink/pkg/wire"
	"longlink/saver/lane"
	"longlink/saver/ledger"
)

// maxRows bounds what a call by id takes: the devices of one push.
const maxRows = 1000

func checkMessage(product, id string) *code.Error {
	if product != "" && !wire.ValidName(product) {
		return code.Invalid("product", "must be 1 to 64 of A-Z a-z 0-9 . _ ~ -, or empty for any")
	}
	if !wire.ValidName(id) {
		return code.Invalid("id", "must be 1 to 64 of A-Z a-z 0-9 . _ ~ -")
	}
	return nil
}

// byID reads the rows of a push, each with the highest cursor that is known here.
func (s *Saver) byID(ctx context.Context, id, product string, most int) ([]ledger.Found, *code.Error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Ledger.Timeout.Std())
	defer cancel()
	// As in a rebuild: a cursor is in what is read or still here, never between.
	s.cursors.flushing.RLock()
	defer s.cursors.flushing.RUnlock()
	rows, err := s.ledger.ByID(ctx, id, product, most)
	if err != nil {
		return nil, s.noLedger(ctx, err, "the ledger cannot be reached")
	}
	s.troubles.rare.fine()
	for i := range rows {
		rows[i].Cursor = max(rows[i].Cursor, s.cursors.get(refOf(rows[i])))
	}
	return rows, nil
}

func refOf(f ledger.Found) lane.Ref {
	return lane.Ref{Product: f.Product, Device: f.Device, Slot: f.Slot}
}

// noLedger is the answer to a rare call that the ledger failed.
func (s *Saver) noLedger(ctx context.Context, err error, message string) *code.Error {
	if context.Cause(ctx) != context.Canceled { // else the caller went away
		s.troubles.rare.saw(1, err)
	}
	return code.Errorf(code.Unavailable, "%s", message)
}

// find tells what the ledger knows of a push, by device id.
func (s *Saver) find(ctx context.Context, q *api.FindRequest) (*api.FindReply, *code.Error) {
	if e := checkMessage(q.Product, q.Id); e != nil {
		return nil, e
	}
	rows, e := s.byID(ctx, q.Id, q.Product, maxRows)
	if e != nil {
		return nil, e
	}
	slices.SortFunc(rows, func(a, b ledger.Found) int {
		return cmp.Or(cmp.Compare(a.Device, b.Device), cmp.Compare(a.Product, b.Product), cmp.Compare(a.Seq, b.Seq))
	})
	now := time.Now()
	rep := &api.FindReply{}
	for _, f := range rows {
		m := &api.FoundMessage{Product: f.Product, Device: f.Device, Seq: f.Seq, State: stateOf(f, now), AcceptedMs: f.AcceptedMS,
			ExpiresMs: f.ExpiresMS, CollapseKey: f.CollapseKey, DedupId: f.DedupID}
		if f.State != ledger.Live {
			m.StateMs = f.StateMS
		}
		rep.Messages = append(rep.Messages, m)
	}
	s.hidden(rep.Messages)
	return rep, nil
}

// stateOf is what the row and its cursor say. What a device has consumed counts
// as acknowledged, also when its time was over before the cursor passed it.
func stateOf(f ledger.Found, now time.Time) api.FoundMessage_State {
	switch {
	case f.State == ledger.Recalled:
		return api.FoundMessage_STATE_RECALLED
	case f.State == ledger.Void:
		return api.FoundMessage_STATE_VOID
	case f.State == ledger.Replaced:
		return api.FoundMessage_STATE_REPLACED
	case f.State == ledger.DeadLettered:
		return api.FoundMessage_STATE_DEAD_LETTERED
	case f.Seq <= f.Cursor:
		return api.FoundMessage_STATE_ACKED
	case f.ExpiresMS <= now.UnixMilli():
		return api.FoundMessage_STATE_EXPIRED
	}
	return api.FoundMessage_STATE_STORED
}

// hidden finds those whose collapse key a newer message took: they wait by the
// ledger, and their lanes do not hold them. The lane is asked, not the ledger,
// where the newer one is found only by reading all that came to the slot since.
// A lane that cannot be asked changes nothing.
func (s *Saver) hidden(found []*api.FoundMessage) {
	var wg sync.WaitGroup
	jobs := make([]*peekJob, len(found))
	for i, m := range found {
		if m.State != api.FoundMessage_STATE_STORED || m.CollapseKey == "" {
			continue
		}
		wg.Add(1)
		jobs[i] = &peekJob{task: task[lane.Peeked]{ref: lane.RefOf(m.Product, m.Device), wg: &wg}, seq: m.Seq}
		s.peeks.put(jobs[i])
	}
	wg.Wait()
	for i, j := range jobs {
		switch {
		case j == nil || j.err != nil || j.result.Found:
		case s.cursors.get(j.ref) >= j.seq: // acknowledged meanwhile
			found[i].State = api.FoundMessage_STATE_ACKED
		default:
			found[i].State = api.FoundMessage_STATE_REPLACED
		}
	}
}
