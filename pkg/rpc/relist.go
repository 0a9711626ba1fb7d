package rpc

import (
	"context"
	"slices"
	"time"

	"longlink/pkg/api"
	"longlink/pkg/cluster"
	"longlink/pkg/code"
)

// Relist has the views looked at again, soon and in the background: somebody
// has answered WRONG_OWNER, and the view that sent the call there may be the
// older one. It may be called as often as one likes: see cluster.Relister.
func (p *Peers) Relist() {
	select {
	case p.outdated <- struct{}{}:
	default:
	}
}

// A list that has shown nobody new is followed by a rest, which doubles up to the
// longest: who denies then is the one whose view is old, and a thousand rooms
// that go on asking would cost etcd a thousand registries a round.
const (
	relistRest    = 250 * time.Millisecond
	relistMaxRest = 8 * time.Second
)

// relists does what Relist asks for until ctx ends. That one fails is known to
// keeper, which logs why.
func (p *Peers) relists(ctx context.Context) error {
	var seen *cluster.View // after the last list
	var rest time.Duration
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-p.outdated:
		}
		before := p.views.View()
		if err := cluster.Relist(ctx, p.views); err != nil && p.log != nil {
			p.log.Debug("the view could not be looked at again", "err", err)
		}
		after := p.views.View()
		if news := seen == nil || !sameStays(seen, after) || !sameStays(before, after); news {
			rest = relistRest / 2
		}
		seen, rest = after, min(2*rest, relistMaxRest)
		t := time.NewTimer(rest)
		select {
		case <-t.C:
		case <-ctx.Done():
		}
		t.Stop()
	}
}

// sameStays is true when two views show the same lives of the same instances.
func sameStays(a, b *cluster.View) bool {
	return a == b || slices.EqualFunc(a.All(), b.All(), func(a, b cluster.Instance) bool {
		return a.Kind == b.Kind && a.ID == b.ID && a.Epoch == b.Epoch && a.Entered == b.Entered
	})
}

// disputed is true for an item of a batch that was sent under a revision, when
// its owner in that view, which is still the newest here, has not accepted it as
// its own.
func (p *Peers) disputed(r *api.Result, revision uint64) bool {
	return code.Code(r.GetCode()) == code.WrongOwner && p.views.View().Revision <= revision
}
