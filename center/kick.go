package center

import (
	"context"

	"longlink/pkg/api"
	"longlink/pkg/cluster"
	"longlink/pkg/code"
	"longlink/pkg/rpc"
	"longlink/pkg/slot"
)

// What a kick has done.
const (
	kickKicked  = "kicked"  // the connection was closed
	kickUnbound = "unbound" // the product was unbound
)

// KickDevice implements api.CenterServer: the operator's key closes the
// device's connection, a product's key unbinds the product. OFFLINE when the
// device is not connected. While that is not known, or somebody on the way does
// not answer, it is tried again until the call's time is over.
func (s *server) KickDevice(ctx context.Context, r *api.KickDeviceRequest) (*api.KickDeviceReply, error) {
	who, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	if err := checkID("device", r.Device); err != nil {
		return nil, err
	}
	if len(r.Reason) > maxReason {
		return nil, code.Invalid("reason", "has %d bytes, at most %d are taken", len(r.Reason), maxReason)
	}
	req := &api.KickRequest{Devices: []string{r.Device}, Product: who.product, Message: r.Reason, Code: uint32(code.Kicked)}
	out := &api.KickDeviceReply{State: kickKicked}
	if !who.operator() {
		req.Code, out.State = uint32(code.Unbound), kickUnbound
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.CallTimeout.Std())
	defer cancel()
	for try := 0; ; try++ {
		err := s.kickOnce(ctx, req)
		if err == nil {
			return out, nil
		}
		switch err.Code {
		case code.NotReady, code.WrongOwner, code.Unavailable:
		default:
			return nil, err
		}
		if pause(ctx, backoff(try)); ctx.Err() != nil {
			return nil, err
		}
	}
}

func (s *server) kickOnce(ctx context.Context, req *api.KickRequest) *code.Error {
	cc, err := s.deps.Peers.ToOwner(cluster.Coordinator, slot.Of(req.Devices[0]))
	if err != nil {
		return rpc.FromStatus(err)
	}
	rep, err := api.NewCoordinatorClient(cc).Kick(ctx, req)
	if err != nil {
		return rpc.FromStatus(err)
	}
	if len(rep.Results) != 1 {
		return code.Errorf(code.Internal, "a kick of one device was answered with %d results", len(rep.Results))
	}
	return rpc.ErrorOf(rep.Results[0].GetResult())
}
