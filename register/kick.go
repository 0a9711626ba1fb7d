package register

import (
	"context"
	"fmt"

	"longlink/pkg/api"
	"longlink/pkg/code"
	"longlink/pkg/lifecycle"
	"longlink/pkg/rpc"
)

// maxKick is how many devices one Kick may name.
const maxKick = 1000

// Kick implements api.RegisterServer: it passes the kick to the devices' rooms,
// all rooms at once. Called by coordinator. Each device has its own result:
// OFFLINE when it has no session, NOT_READY or WRONG_OWNER when that is not
// known, UNAVAILABLE or DEADLINE when its room does not answer.
func (r *Register) Kick(ctx context.Context, req *api.KickRequest) (*api.KickReply, error) {
	if len(req.Devices) > maxKick {
		return nil, code.Errorf(code.TooManyTargets, "%d devices in one kick, %d are allowed", len(req.Devices), maxKick).WithField("devices")
	}
	out := &api.KickReply{Results: make([]*api.KickResult, len(req.Devices))}
	byRoom := map[roomKey][]int{}
	for i, device := range req.Devices {
		s, err := r.find(device)
		if err != nil {
			out.Results[i] = &api.KickResult{Result: rpc.ResultOf(err)}
			continue
		}
		room := s.room.Value()
		byRoom[room] = append(byRoom[room], i)
	}
	g := lifecycle.NewGroup(ctx, r.log, r.deps.Life)
	for room, places := range byRoom {
		g.Task("register.kick", func(ctx context.Context) error {
			r.kickIn(ctx, room, places, req, out.Results)
			return nil
		})
	}
	return out, g.Wait()
}

// kickIn fills the results at the given places, which no other call touches.
func (r *Register) kickIn(ctx context.Context, room roomKey, places []int, req *api.KickRequest, results []*api.KickResult) {
	part := &api.KickRequest{Product: req.Product, Code: req.Code, Message: req.Message, RetryMs: req.RetryMs}
	for _, i := range places {
		part.Devices = append(part.Devices, req.Devices[i])
	}
	var rep *api.KickReply
	err := r.callRoom(ctx, room, func(ctx context.Context, c api.RoomClient) (err error) {
		rep, err = c.KickLocal(ctx, part)
		return err
	})
	if err == nil && len(rep.GetResults()) != len(places) {
		err = fmt.Errorf("room %s answered a kick of %d devices with %d results", room.id, len(places), len(rep.GetResults()))
	}
	for n, i := range places {
		if err != nil {
			results[i] = &api.KickResult{Result: rpc.ResultOf(rpc.FromStatus(err))}
		} else {
			results[i] = rep.Results[n]
		}
	}
}
