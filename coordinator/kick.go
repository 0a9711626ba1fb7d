package coordinator

import (
	"context"
	"fmt"

	"longlink/pkg/api"
	"longlink/pkg/cluster"
	"longlink/pkg/code"
	"longlink/pkg/lifecycle"
	"longlink/pkg/rpc"
	"longlink/pkg/slot"
)

// maxKick is how many devices one Kick may name; it is register's limit too.
const maxKick = 1000

// Kick implements api.CoordinatorServer. Called by center. Results are in the
// order of the devices: OFFLINE when a device has no session, NOT_READY or
// WRONG_OWNER when that is not known, UNAVAILABLE or DEADLINE when its register
// or room does not answer.
func (c *Coordinator) Kick(ctx context.Context, req *api.KickRequest) (*api.KickReply, error) {
	if len(req.Devices) > maxKick {
		return nil, code.Errorf(code.TooManyTargets, "%d devices in one kick, %d are allowed", len(req.Devices), maxKick).WithField("devices")
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.CallTimeout.Std())
	defer cancel()
	out := &api.KickReply{Results: make([]*api.KickResult, len(req.Devices))}
	view := c.deps.Peers.Views().View()
	byOwner := map[string][]int{} // instance id to places
	for i, device := range req.Devices {
		owner, ok := view.Owner(cluster.Register, slot.Of(device))
		if !ok {
			out.Results[i] = &api.KickResult{Result: rpc.ResultOf(code.Errorf(code.Unavailable, "no register in the cluster"))}
			continue
		}
		byOwner[owner.ID] = append(byOwner[owner.ID], i)
	}
	g := lifecycle.NewGroup(ctx, c.log, c.deps.Life)
	for id, places := range byOwner {
		g.Task("coordinator.kick", func(ctx context.Context) error {
			c.kickAt(ctx, id, places, req, out.Results)
			return nil
		})
	}
	err := g.Wait()
	for _, r := range out.Results {
		c.metrics.kicks.WithLabelValues(code.Code(r.GetResult().GetCode()).String()).Inc()
	}
	return out, err
}

// kickAt fills the results at the given places, which no other call touches.
func (c *Coordinator) kickAt(ctx context.Context, register string, places []int, req *api.KickRequest, results []*api.KickResult) {
	part := &api.KickRequest{Product: req.Product, Code: req.Code, Message: req.Message, RetryMs: req.RetryMs}
	for _, i := range places {
		part.Devices = append(part.Devices, req.Devices[i])
	}
	var rep *api.KickReply
	cc, err := c.deps.Peers.To(cluster.Register, register)
	if err == nil {
		rep, err = api.NewRegisterClient(cc).Kick(ctx, part)
	}
	if err == nil && len(rep.GetResults()) != len(places) {
		err = fmt.Errorf("%s answered a kick of %d devices with %d results", register, len(places), len(rep.GetResults()))
		c.log.Error("kick failed", "request_id", rpc.RequestID(ctx), "err", err)
	}
	for n, i := range places {
		if err != nil {
			results[i] = &api.KickResult{Result: rpc.ResultOf(rpc.FromStatus(err))}
		} else {
			results[i] = rep.Results[n]
			if code.Code(results[i].GetResult().GetCode()) == code.WrongOwner {
				c.deps.Peers.Relist() // for the caller's next try
			}
		}
	}
}
