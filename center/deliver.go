package center

import (
	"longlink/pkg/api"
	"longlink/pkg/cluster"
	"longlink/pkg/code"
	"longlink/pkg/slot"
)

func (p *push) append(t *target) {
	item := &api.AppendItem{Meta: p.meta(), Device: t.device, Product: p.product, Message: p.msg}
	p.s.appends.ToOwner(slot.Of(t.device), slot.Key(t.device), p.deadline, item, func(r *api.AppendResult, err *code.Error) {
		p.events <- func() { p.onAppend(t, r, err) }
	})
}

func (p *push) onAppend(t *target, r *api.AppendResult, err *code.Error) {
	switch {
	case t.final:
	case err != nil && (err.Code == code.NotReady || err.Code == code.WrongOwner):
		p.again(t, "append", err, func() { p.append(t) })
	case err != nil && err.Code == code.Unknown:
		p.answered(t, 0, errUnknown())
	case err != nil:
		p.answered(t, 0, err)
	default:
		t.prev = r.Prev
		if r.Duplicate {
			// What was stored first may differ from what was sent now, and its place
			// in the lane is old: let the room load it.
			t.prev = r.Seq - 1
		}
		p.answered(t, r.Seq, nil)
		p.locate(t)
	}
}

func (p *push) locate(t *target) {
	item := &api.LocateItem{Meta: p.meta(), Device: t.device, Product: p.product}
	p.s.locates.ToOwner(slot.Of(t.device), slot.Key(t.device), p.deadline, item, func(r *api.LocateResult, err *code.Error) {
		p.events <- func() { p.onLocate(t, r, err) }
	})
}

func (p *push) onLocate(t *target, r *api.LocateResult, err *code.Error) {
	switch {
	case t.final:
	case err != nil && err.Code == code.Offline:
		p.undelivered(t, err)
	case err != nil && err.Code.Action() == code.Never:
		p.undelivered(t, err)
	case err != nil:
		p.again(t, "locate", err, func() { p.locate(t) })
	default:
		t.located = r
		p.deliver(t)
	}
}

func (p *push) deliver(t *target) {
	at := t.located
	room, ok := p.s.deps.Peers.Views().View().Get(cluster.Room, at.Room)
	if !ok || room.Epoch != at.RoomEpoch {
		p.again(t, "room", code.Errorf(code.NotReady, "room %s is not in this center's view", at.Room), func() { p.locate(t) })
		return
	}
	item := &api.DeliverItem{Meta: p.meta(), Device: t.device, Product: p.product, Conn: at.Conn, Epoch: at.Epoch,
		Message: &api.LaneMessage{Seq: t.seq, Prev: t.prev, Message: p.msg}}
	p.s.delivers.Submit(room, slot.Key(t.device), p.deadline, item, func(r *api.DeliverResult, err *code.Error) {
		p.events <- func() { p.onDeliver(t, r, err) }
	})
}

func (p *push) onDeliver(t *target, r *api.DeliverResult, err *code.Error) {
	switch {
	case t.final:
	case err != nil && (p.msg.Qos == 0 || err.Code.Action() == code.Never):
		p.undelivered(t, err) // qos 0 is not sent twice
	case err != nil:
		p.again(t, "deliver", err, func() { p.locate(t) })
	default:
		p.onDelivered(t, r.State)
	}
}

func (p *push) onDelivered(t *target, state api.DeliverResult_State) {
	offline := code.Errorf(code.Offline, "the device is not connected, or takes nothing at the moment, and a qos 0 message is not stored")
	switch state {
	case api.DeliverResult_STATE_SENT:
		p.finish(t, stateSent, nil)
	case api.DeliverResult_STATE_HAVE, api.DeliverResult_STATE_DUPLICATE:
		if p.msg.Qos == 0 {
			p.undelivered(t, offline)
			return
		}
		p.finish(t, stateSent, nil) // the room answers for it from now on
	case api.DeliverResult_STATE_GONE:
		p.forget(t)
		if t.relocated {
			p.undelivered(t, offline)
			return
		}
		t.relocated = true
		p.locate(t)
	default: // unbound, dropped
		p.undelivered(t, offline)
	}
}

// forget tells the register's owner that the room does not have the session
// that it named: the owner compares, then deletes.
func (p *push) forget(t *target) {
	at := t.located
	item := &api.SessionItem{Meta: p.meta(), Op: api.SessionItem_OP_DELETE,
		Session: &api.Session{Device: t.device, Room: at.Room, RoomEpoch: at.RoomEpoch, Conn: at.Conn, Epoch: at.Epoch}}
	p.s.updates.ToOwner(slot.Of(t.device), slot.Key(t.device), p.deadline, item, func(*api.SessionResult, *code.Error) {})
}

// undelivered ends a target that no room took: stored, or qos 0's error.
func (p *push) undelivered(t *target, err *code.Error) {
	if p.msg.Qos == 0 {
		p.finish(t, "", err)
		return
	}
	p.finish(t, stateStored, nil)
}

func (p *push) meta() *api.Meta { return &api.Meta{RequestId: p.request} }
