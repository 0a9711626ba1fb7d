package saver

import (
	"context"
	"time"

	"longlink/pkg/api"
	"longlink/pkg/code"
	"longlink/pkg/wire"
	"longlink/saver/ledger"
)

// Limits of one page of the upstream log.
const (
	maxUpPage      = 1000    // rows
	maxUpPageBytes = 1 << 20 // of bodies
)

// Bounds of the pages that are read at once and of those that wait for it. All
// followers together have fewer connections than the ledger has for reading, so
// they keep no commit and no rebuild from theirs.
const (
	upReaders = 3
	upWaiters = 256
)

// upReads lets readers of pages in.
type upReads struct {
	turns, line chan struct{}
}

func newUpReads() *upReads {
	return &upReads{turns: make(chan struct{}, upReaders), line: make(chan struct{}, upReaders+upWaiters)}
}

// enter waits for a turn; leave ends it. False when too many wait, or when the
// turn did not come in time.
func (r *upReads) enter(ctx context.Context) bool {
	select {
	case r.line <- struct{}{}:
	default:
		return false
	}
	select {
	case r.turns <- struct{}{}:
		return true
	case <-ctx.Done():
		<-r.line
		return false
	}
}

func (r *upReads) leave() { <-r.turns; <-r.line }

// ReadUpstream implements api.SaverServer.
func (d *door) ReadUpstream(ctx context.Context, q *api.ReadUpstreamRequest) (*api.ReadUpstreamReply, error) {
	rep, err := d.s.readUpstream(ctx, q)
	d.s.metrics.upstreamRead(err)
	return rep, err
}

func (s *Saver) readUpstream(ctx context.Context, q *api.ReadUpstreamRequest) (*api.ReadUpstreamReply, error) {
	switch {
	case q.Part >= ledger.UpParts:
		return nil, code.Invalid("part", "must be below %d", ledger.UpParts)
	case q.After >= 1<<63:
		return nil, code.Invalid("after", "must be below 2^63")
	case q.Limit < 1 || q.Limit > maxUpPage:
		return nil, code.Invalid("limit", "must be 1 to %d", maxUpPage)
	case q.Product != "" && !wire.ValidName(q.Product):
		return nil, code.Invalid("product", "must be empty or 1 to 64 of A-Z a-z 0-9 . _ ~ -")
	case q.Kind != "" && !wire.ValidName(q.Kind):
		return nil, code.Invalid("kind", "must be empty or 1 to 64 of A-Z a-z 0-9 . _ ~ -")
	}
	rctx, cancel := context.WithTimeout(ctx, s.cfg.Ledger.Timeout.Std())
	defer cancel()
	if !s.upReads.enter(rctx) {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, code.Errorf(code.RateLimited, "too many read the upstream log through this saver")
	}
	defer s.upReads.leave()
	ups, read, err := s.ledger.ReadUpstream(rctx, ledger.Page{Part: int(q.Part), After: q.After, Rows: int(q.Limit),
		Bytes: maxUpPageBytes, Product: q.Product, Kind: q.Kind}, time.Now())
	if err != nil {
		return nil, s.upUnread(ctx, err)
	}
	s.troubles.upstreamReads.fine()
	rows := make([]*api.UpstreamRow, len(ups))
	for i, u := range ups {
		rows[i] = upRow(u)
	}
	return &api.ReadUpstreamReply{Rows: rows, Read: read}, nil
}

func upRow(u *ledger.Up) *api.UpstreamRow {
	return &api.UpstreamRow{Seq: u.Seq, Class: uint32(u.Class), Item: &api.UpItem{Meta: &api.Meta{RequestId: u.RequestID},
		Device: u.Device, Product: u.Product, Kind: u.Kind, UpId: u.UpID, Flags: uint32(u.Flags), Ext: u.Ext, Payload: u.Payload,
		Epoch: u.Epoch, ReceivedMs: u.ReceivedMS}}
}

// upUnread is the answer of a read that failed; a caller that went away is no
// trouble of the ledger's.
func (s *Saver) upUnread(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	s.troubles.upstreamReads.saw(1, err)
	return code.Errorf(code.Unavailable, "the upstream log cannot be read from the ledger")
}
