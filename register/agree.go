package register

import (
	"context"
	"time"

	"longlink/pkg/api"
	"longlink/pkg/cluster"
	"longlink/pkg/slot"
)

// catchUpWait bounds how long a batch waits for a newer view.
const catchUpWait = 500 * time.Millisecond

// denies is true when this instance is about to answer WRONG_OWNER.
func (r *Register) denies(items []*api.LocateItem) bool {
	for _, item := range items {
		if !r.slots.owned[slot.Of(item.GetDevice())].Load() {
			return true
		}
	}
	return false
}

// catchUp brings this instance's view to a revision that a caller has shown: the
// two disagree, and the one that knows less looks again before it answers. It
// returns when that is reached or cannot be, within catchUpWait. A PUT needs
// none: from ahead it is taken as it is.
func (r *Register) catchUp(ctx context.Context, revision uint64) {
	ctx, cancel := context.WithTimeout(ctx, catchUpWait)
	defer cancel()
	result, views := "reached", r.deps.Peers.Views()
	if cluster.Relist(ctx, views) != nil || !r.await(ctx, min(revision, views.View().Revision), catchUpWait) || !r.slots.has(revision) {
		result = "behind"
	}
	r.metrics.catchUps.WithLabelValues(result).Inc()
}

// await is true when a view of that revision was taken in before ctx ended or
// the time was over.
func (r *Register) await(ctx context.Context, revision uint64, limit time.Duration) bool {
	over := time.NewTimer(limit)
	defer over.Stop()
	for {
		wait := r.slots.reached(revision)
		if wait == nil {
			return true
		}
		select {
		case <-wait:
		case <-over.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
}
