package saver

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"longlink/pkg/api"
	"longlink/saver/ledger"
)

// UpstreamHeads implements api.SaverServer.
func (d *door) UpstreamHeads(ctx context.Context, _ *api.UpstreamHeadsRequest) (*api.UpstreamHeadsReply, error) {
	heads, err := d.s.upHeads.get(ctx)
	if err != nil {
		return nil, d.s.upUnread(ctx, err)
	}
	return &api.UpstreamHeadsReply{Heads: heads}, nil
}

// headsFor is how long one read of the heads serves all who ask: followers ask
// several times a second each.
const headsFor = 100 * time.Millisecond

// upHeads reads the heads of the upstream log, once for all who ask at the same
// time or shortly after. Safe for use by many goroutines.
type upHeads struct {
	read func(context.Context) ([]uint64, error)

	mu      sync.Mutex
	at      time.Time
	last    []uint64
	running *headsRead // nil: none
}

type headsRead struct {
	done  chan struct{} // closed when heads and err are set
	heads []uint64
	err   error
}

func newUpHeads(s *Saver) *upHeads {
	return &upHeads{read: func(ctx context.Context) ([]uint64, error) {
		ctx, cancel := context.WithTimeout(ctx, s.cfg.Ledger.Timeout.Std())
		defer cancel()
		heads := make([]uint64, ledger.UpParts)
		err := s.ledger.UpstreamHeads(ctx, func(part int, seq uint64) {
			if part >= 0 && part < len(heads) {
				heads[part] = seq
			}
		})
		if err == nil {
			s.troubles.upstreamReads.fine()
		}
		return heads, err
	}}
}

// get answers the heads by partition, at most headsFor old when it was called.
func (h *upHeads) get(ctx context.Context) ([]uint64, error) {
	h.mu.Lock()
	if h.last != nil && time.Since(h.at) < headsFor {
		defer h.mu.Unlock()
		return slices.Clone(h.last), nil
	}
	r := h.running
	if r == nil {
		r = &headsRead{done: make(chan struct{}), err: errors.New("the read of the heads ended without a result")}
		h.running = r
		h.mu.Unlock()
		h.run(ctx, r)
	} else {
		h.mu.Unlock()
	}
	select {
	case <-r.done:
		return slices.Clone(r.heads), r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// run reads for all who wait, so it goes on when its own caller has left.
func (h *upHeads) run(ctx context.Context, r *headsRead) {
	start := time.Now()
	defer func() { // also when it panics
		h.mu.Lock()
		defer h.mu.Unlock()
		if r.err == nil {
			h.last, h.at = r.heads, start
		}
		h.running = nil
		close(r.done)
	}()
	r.heads, r.err = h.read(context.WithoutCancel(ctx))
}
