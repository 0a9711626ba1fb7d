package center

import (
	"context"
	"slices"

	"longlink/pkg/api"
	"longlink/pkg/cluster"
	"longlink/pkg/code"
	"longlink/pkg/rpc"
)

// ListServices implements api.CenterServer. It asks the keepers in turn; when
// none answers it tells what its own view has, which lacks load figures.
func (s *server) ListServices(ctx context.Context, r *api.ServicesRequest) (*api.ServicesReply, error) {
	if err := onlyOperator(ctx); err != nil {
		return nil, err
	}
	if r.Kind != "" && !slices.Contains(cluster.Kinds, cluster.Kind(r.Kind)) {
		return nil, code.Invalid("kind", "%q is none of the services %v", r.Kind, cluster.Kinds)
	}
	if rep := s.servicesOfKeeper(ctx, r); rep != nil {
		return rep, nil
	}
	v := s.deps.Peers.Views().View()
	out := &api.ServicesReply{Revision: v.Revision}
	for _, i := range v.All() {
		if r.Kind == "" || i.Kind == cluster.Kind(r.Kind) {
			out.Instances = append(out.Instances, &api.ServiceInstance{Kind: string(i.Kind), Id: i.ID, Epoch: i.Epoch, State: stateOf(i),
				Version: i.Version, Rpc: i.RPC, Addresses: i.Addresses, StartedMs: i.StartedMS})
		}
	}
	return out, nil
}

// stateHeld: the registry lacks the instance, and the view keeps it because too
// many of its kind vanished at once.
const stateHeld = "held"

func stateOf(i cluster.Instance) string {
	if i.Held {
		return stateHeld
	}
	return string(i.State)
}

// servicesOfKeeper is the answer of the first keeper that gives one, else nil.
func (s *server) servicesOfKeeper(ctx context.Context, r *api.ServicesRequest) *api.ServicesReply {
	for _, k := range s.deps.Peers.Views().View().Kind(cluster.Keeper) {
		rep, err := s.askKeeper(ctx, k.RPC, r)
		if err == nil {
			return rep
		}
		s.log.Warn("a keeper did not list the services", "request_id", rpc.RequestID(ctx), "keeper", k.ID, "err", err)
	}
	return nil
}

func (s *server) askKeeper(ctx context.Context, addr string, r *api.ServicesRequest) (*api.ServicesReply, error) {
	cc, err := s.deps.Peers.Conn(addr)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.CallTimeout.Std())
	defer cancel()
	return api.NewKeeperClient(cc).Services(ctx, r)
}
