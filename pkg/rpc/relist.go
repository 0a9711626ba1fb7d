package rpc

import (
	"context"

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

// relists does what Relist asks for until ctx ends. That one fails is known to
// keeper, which logs why.
func (p *Peers) relists(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-p.outdated:
		}
		if err := cluster.Relist(ctx, p.views); err != nil && p.log != nil {
			p.log.Debug("the view could not be looked at again", "err", err)
		}
	}
}

// disputed is true for an item that its owner in this view has not accepted as
// its own.
func disputed(r *api.Result) bool { return code.Code(r.GetCode()) == code.WrongOwner }
