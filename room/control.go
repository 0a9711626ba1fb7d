package room

import (
	"context"
	"time"

	"longlink/pkg/api"
	"longlink/pkg/code"
	"longlink/pkg/rpc"
)

// KickLocal implements api.RoomServer: with a product that product is unbound,
// else the connection ends with BYE. OFFLINE answers for devices that have no
// session here, or have not bound the product.
func (r *Room) KickLocal(ctx context.Context, req *api.KickRequest) (*api.KickReply, error) {
	why := &code.Error{Code: code.Code(req.Code), Message: req.Message, Retry: time.Duration(req.RetryMs) * time.Millisecond}
	if why.Code == code.OK {
		why.Code = code.Kicked
	}
	if !why.Code.Row().Wire {
		return nil, code.Invalid("code", "%s is never sent to a device", why.Code)
	}
	hit, answered := each(ctx, r, req.Devices, func(c *conn, _ int) bool {
		switch {
		case c.state != stateLive:
			return false
		case req.Product == "":
			c.byeError(why)
			return true
		case c.lane(req.Product) == nil:
			return false
		default:
			return c.unbind(req.Product, &code.Error{Code: code.Unbound, Message: req.Message})
		}
	})
	reply := &api.KickReply{Results: make([]*api.KickResult, len(hit))}
	for i := range hit {
		reply.Results[i] = &api.KickResult{}
		switch {
		case !answered[i] && r.devices.get(req.Devices[i]) != nil:
			reply.Results[i].Result = rpc.ResultOf(code.Errorf(code.Unavailable, "the connection's event loop did not answer in time"))
		case !hit[i]:
			reply.Results[i].Result = rpc.ResultOf(code.Errorf(code.Offline, "the device is not connected here, or has not bound the product"))
		}
	}
	return reply, nil
}

// Evict implements api.RoomServer: sessions that lost to a newer one elsewhere
// end with REPLACED.
func (r *Room) Evict(ctx context.Context, req *api.EvictRequest) (*api.EvictReply, error) {
	devices := make([]string, len(req.Items))
	for i, it := range req.Items {
		devices[i] = it.Device
	}
	_, _ = each(ctx, r, devices, func(c *conn, i int) bool {
		if c.epoch <= req.Items[i].Epoch {
			c.bye(code.Replaced, 0, "the device logged in to another room")
		}
		return true
	})
	return &api.EvictReply{}, nil
}

// Inspect implements api.RoomServer. A loop that does not answer in time fails
// the call: a device must not be called offline for that.
func (r *Room) Inspect(ctx context.Context, req *api.InspectRequest) (*api.InspectReply, error) {
	results, answered := each(ctx, r, req.Devices, func(c *conn, _ int) *api.InspectResult { return c.inspect() })
	for i, res := range results {
		if answered[i] && res == nil || !answered[i] && r.devices.get(req.Devices[i]) == nil {
			results[i] = &api.InspectResult{State: api.InspectResult_STATE_OFFLINE}
		}
		if results[i] == nil {
			return nil, code.Errorf(code.Unavailable, "an event loop of the room did not answer in time")
		}
	}
	return &api.InspectReply{Results: results}, nil
}

// each asks the devices' connections within call_timeout.
func each[T any](ctx context.Context, r *Room, devices []string, fn func(c *conn, i int) T) ([]T, []bool) {
	conns := make([]*conn, len(devices))
	for i, d := range devices {
		conns[i] = r.devices.get(d)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(r.cfg.CallTimeout))
	defer cancel()
	return ask(ctx, r, conns, fn)
}

// inspect is nil when the session has ended.
func (c *conn) inspect() *api.InspectResult {
	if c.state != stateLive {
		return nil
	}
	res := &api.InspectResult{State: api.InspectResult_STATE_ONLINE, Epoch: c.epoch, HeardMsAgo: c.loop.now - c.heard}
	for i := range c.lanes {
		ln := &c.lanes[i]
		res.Lanes = append(res.Lanes, &api.LaneState{Product: ln.product, Acked: ln.acked, Sent: ln.sent, Known: ln.known,
			Loading: ln.loading || !ln.loaded})
	}
	return res
}
