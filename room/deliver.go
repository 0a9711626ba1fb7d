package room

import (
	"context"
	"time"

	"google.golang.org/grpc"

	"longlink/pkg/api"
	"longlink/pkg/code"
	"longlink/pkg/rpc"
)

type deliverState = api.DeliverResult_State

// answers are the results of deliveries: a few values that every reply shares
// and nobody changes.
type answers struct {
	states      map[deliverState]*api.DeliverResult
	unavailable *api.DeliverResult
	empty       *api.DeliverResult
}

func newAnswers() answers {
	a := answers{states: map[deliverState]*api.DeliverResult{}}
	for s := range api.DeliverResult_State_name {
		a.states[deliverState(s)] = &api.DeliverResult{State: deliverState(s)}
	}
	a.unavailable = &api.DeliverResult{Result: rpc.ResultOf(code.Errorf(code.Unavailable, "the connection's event loop did not answer in time"))}
	a.empty = &api.DeliverResult{Result: rpc.ResultOf(code.Invalid("message", "a delivery without message"))}
	return a
}

// Deliver implements api.RoomServer.
func (r *Room) Deliver(s grpc.BidiStreamingServer[api.DeliverBatch, api.DeliverReply]) error {
	return rpc.ServeBatches(s, func(number uint64, results []*api.DeliverResult) *api.DeliverReply {
		return &api.DeliverReply{Number: number, Results: results}
	}, func(ctx context.Context, _ *api.BatchHeader, items []*api.DeliverItem) []*api.DeliverResult {
		return r.deliver(ctx, items)
	})
}

// deliver hands a batch to the loops, one task each, and answers in order
// within the shortest remaining time of its items or deliver_timeout.
func (r *Room) deliver(ctx context.Context, items []*api.DeliverItem) []*api.DeliverResult {
	left := time.Duration(r.cfg.DeliverTimeout)
	conns := make([]*conn, len(items))
	for i, it := range items {
		if ms := it.GetMeta().GetRemainingMs(); ms > 0 {
			left = min(left, time.Duration(ms)*time.Millisecond)
		}
		if c := r.devices.get(it.Device); c != nil && c.epoch == it.Epoch && it.GetMessage().GetMessage() != nil {
			conns[i] = c
		}
	}
	ctx, cancel := context.WithTimeout(ctx, left)
	defer cancel()
	states, answered := ask(ctx, r, conns, func(c *conn, i int) deliverState { return c.deliver(items[i]) })
	results := make([]*api.DeliverResult, len(items))
	for i := range items {
		switch {
		case items[i].GetMessage().GetMessage() == nil:
			results[i] = r.answers.empty
		case conns[i] == nil:
			r.dropped(items[i], code.DropGone)
			results[i] = r.answers.states[api.DeliverResult_STATE_GONE]
		case !answered[i]:
			r.dropped(items[i], code.DropQueueFull)
			results[i] = r.answers.unavailable
		default:
			results[i] = r.answers.states[states[i]]
		}
	}
	return results
}

// deliver applies the rule to one message, on the connection's loop. It does
// not allocate when it writes.
func (c *conn) deliver(it *api.DeliverItem) deliverState {
	r := c.loop.room
	if c.state != stateLive {
		r.dropped(it, code.DropGone)
		return api.DeliverResult_STATE_GONE
	}
	ln := c.lane(it.Product)
	if ln == nil {
		r.dropped(it, code.DropUnbound)
		return api.DeliverResult_STATE_UNBOUND
	}
	msg := it.GetMessage()
	if msg.GetSeq() == 0 {
		return c.deliverOnce(ln, it)
	}
	switch ln.deliver(msg.Seq, msg.Prev, r.window, c.takesPushes()) {
	case verdictDuplicate:
		r.metrics.drop(code.DropDuplicate)
		return api.DeliverResult_STATE_DUPLICATE
	case verdictWrite:
		c.push(ln, msg, kindDirect)
		if c.state == stateLive {
			c.pump(ln)
		}
		return api.DeliverResult_STATE_SENT
	}
	r.dropped(it, code.DropWindow)
	c.pump(ln)
	return api.DeliverResult_STATE_HAVE
}

// deliverOnce is qos 0: written now or never.
func (c *conn) deliverOnce(ln *lane, it *api.DeliverItem) deliverState {
	r, msg := c.loop.room, it.Message
	size := pushSize(ln.product, msg.GetMessage())
	switch {
	case !ln.loaded || ln.loading || !ln.open(r.window) || size > r.maxPush():
		r.dropped(it, code.DropWindow)
		return api.DeliverResult_STATE_DROPPED
	case !c.takesPushes():
		r.dropped(it, code.DropSlow)
		return api.DeliverResult_STATE_DROPPED
	}
	c.write(ln.product, 0, msg.Message, kindQoS0)
	c.spill()
	return api.DeliverResult_STATE_SENT
}

// maxPush is the longest frame that a device was told to expect.
func (r *Room) maxPush() int { return int(r.cfg.MaxFrame) }
