package keeper

import (
	"context"
	"slices"
	"time"

	"longlink/pkg/api"
	"longlink/pkg/cluster"
	"longlink/pkg/code"
	"longlink/pkg/wire"
)

// server is the door of Service.
type server struct {
	api.UnimplementedKeeperServer
	views cluster.Views
	loads *loads
	now   func() time.Time
}

// Report implements api.KeeperServer.
func (s *server) Report(_ context.Context, r *api.ReportRequest) (*api.ReportReply, error) {
	kind := cluster.Kind(r.Kind)
	switch {
	case !slices.Contains(cluster.Kinds, kind):
		return nil, code.Invalid("kind", "%q is not a service", r.Kind)
	case !wire.ValidName(r.Id):
		return nil, code.Invalid("id", "must be 1 to 64 characters A-Z a-z 0-9 . _ ~ -")
	case len(r.Figures) > maxFigures:
		return nil, code.Invalid("figures", "at most %d", maxFigures)
	}
	for name := range r.Figures {
		if len(name) > maxFigureName {
			return nil, code.Invalid("figures", "a name has at most %d bytes", maxFigureName)
		}
	}
	if !s.loads.put(loadKey{kind, r.Id}, load{epoch: r.Epoch, at: s.now(), figures: r.Figures}) {
		return nil, code.Errorf(code.RateLimited, "keeper holds the load of %d instances already", maxLoads)
	}
	return &api.ReportReply{}, nil
}

// Services implements api.KeeperServer.
func (s *server) Services(_ context.Context, r *api.ServicesRequest) (*api.ServicesReply, error) {
	kind := cluster.Kind(r.Kind)
	if kind != "" && !slices.Contains(cluster.Kinds, kind) {
		return nil, code.Invalid("kind", "%q is not a service", r.Kind)
	}
	v := s.views.View()
	out := &api.ServicesReply{Revision: v.Revision}
	now := s.now()
	for _, i := range v.All() {
		if kind != "" && i.Kind != kind {
			continue
		}
		state := string(i.State)
		if i.Held {
			state = "held"
		}
		out.Instances = append(out.Instances, &api.ServiceInstance{
			Kind: string(i.Kind), Id: i.ID, Epoch: i.Epoch, State: state, Version: i.Version,
			Rpc: i.RPC, Addresses: i.Addresses, StartedMs: i.StartedMS,
			Figures: s.loads.get(loadKey{i.Kind, i.ID}, i.Epoch, now),
		})
	}
	return out, nil
}
