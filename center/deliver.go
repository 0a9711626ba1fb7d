package center

import (
	"longlink/pkg/api"
	"longlink/pkg/cluster"
	"longlink/pkg/code"
	"longlink/pkg/slot"
	"longlink/pkg/trace"
)

// append sends the message to the owner of the device's slot in a view.
func (f *flight) append(t *target, v *cluster.View) {
	to, ok := v.Owner(cluster.Saver, slot.Of(t.device))
	if !ok {
		f.answered(t, 0, code.Errorf(code.Unavailable, "no saver in the cluster"))
		return
	}
	if t.lane != nil {
		t.lane.flying++
	}
	item := &api.AppendItem{Meta: f.meta(), Device: t.device, Product: t.push.product, Message: t.push.msg}
	f.s.appends.Submit(to, slot.Key(t.device), f.deadline, item, func(r *api.AppendResult, err *code.Error) {
		f.events <- func() {
			f.onAppend(t, r, err)
			if l := t.lane; l != nil {
				l.flying--
				f.landed(l)
			}
		}
	})
}

func (f *flight) onAppend(t *target, r *api.AppendResult, err *code.Error) {
	switch {
	case t.final:
	case err != nil && (err.Code == code.NotReady || err.Code == code.WrongOwner):
		f.refusedAppend(t, err)
	case err != nil && err.Code == code.Unknown:
		f.answered(t, 0, errUnknown())
	case err != nil:
		f.answered(t, 0, err)
	default:
		t.prev = r.Prev
		if r.Duplicate {
			// What was stored first may differ from what was sent now, and its place
			// in the lane is old: let the room load it.
			t.prev = r.Seq - 1
		}
		if t.lane != nil {
			t.lane.newest = max(t.lane.newest, t.place)
		}
		f.answered(t, r.Seq, nil)
		f.locate(t)
	}
}

func (f *flight) locate(t *target) {
	item := &api.LocateItem{Meta: f.meta(), Device: t.device, Product: t.push.product}
	f.s.locates.ToOwner(slot.Of(t.device), slot.Key(t.device), f.deadline, item, func(r *api.LocateResult, err *code.Error) {
		f.events <- func() { f.onLocate(t, r, err) }
	})
}

func (f *flight) onLocate(t *target, r *api.LocateResult, err *code.Error) {
	if t.final {
		return
	}
	f.stepLocated(t, r, err)
	switch {
	case err != nil && err.Code == code.Offline:
		f.undelivered(t, err)
	case err != nil && err.Code.Action() == code.Never:
		f.undelivered(t, err)
	case err != nil:
		f.locateAgain(t, "locate", err)
	default:
		t.located = r
		f.deliver(t)
	}
}

func (f *flight) deliver(t *target) {
	at := t.located
	room, ok := f.s.deps.Peers.Views().View().Get(cluster.Room, at.Room)
	if !ok || room.Epoch != at.RoomEpoch {
		f.step(t, trace.Handed, code.NotReady, "the room is not in this center's view")
		f.locateAgain(t, "room", code.Errorf(code.NotReady, "room %s is not in this center's view", at.Room))
		return
	}
	item := &api.DeliverItem{Meta: f.meta(), Device: t.device, Product: t.push.product, Conn: at.Conn, Epoch: at.Epoch,
		Message: &api.LaneMessage{Seq: t.seq, Prev: t.prev, Message: t.push.msg}}
	f.s.delivers.Submit(room, slot.Key(t.device), f.deadline, item, func(r *api.DeliverResult, err *code.Error) {
		f.events <- func() { f.onDeliver(t, r, err) }
	})
}

func (f *flight) onDeliver(t *target, r *api.DeliverResult, err *code.Error) {
	if t.final {
		return
	}
	f.stepHanded(t, r, err)
	switch {
	case err != nil && (t.push.msg.Qos == 0 || err.Code.Action() == code.Never):
		f.undelivered(t, err) // qos 0 is not sent twice
	case err != nil:
		f.locateAgain(t, "deliver", err)
	default:
		f.onDelivered(t, r.State)
	}
}

func (f *flight) onDelivered(t *target, state api.DeliverResult_State) {
	offline := code.Errorf(code.Offline, "the device is not connected, or takes nothing at the moment, and a qos 0 message is not stored")
	switch state {
	case api.DeliverResult_STATE_SENT:
		f.finish(t, stateSent, nil)
	case api.DeliverResult_STATE_HAVE, api.DeliverResult_STATE_DUPLICATE:
		if t.push.msg.Qos == 0 {
			f.undelivered(t, offline)
			return
		}
		f.finish(t, stateSent, nil) // the room answers for it from now on
	case api.DeliverResult_STATE_GONE:
		f.forget(t)
		if t.relocated {
			f.undelivered(t, offline)
			return
		}
		t.relocated = true
		f.locate(t)
	default: // unbound, dropped
		f.undelivered(t, offline)
	}
}

// locateAgain begins the delivery anew.
func (f *flight) locateAgain(t *target, step string, err *code.Error) {
	if !f.again(t, step, err, func() { f.locate(t) }) {
		f.undelivered(t, err)
	}
}

// forget tells the register's owner that the room does not have the session
// that it named: the owner compares, then deletes.
func (f *flight) forget(t *target) {
	at := t.located
	item := &api.SessionItem{Meta: f.meta(), Op: api.SessionItem_OP_DELETE,
		Session: &api.Session{Device: t.device, Room: at.Room, RoomEpoch: at.RoomEpoch, Conn: at.Conn, Epoch: at.Epoch}}
	f.s.updates.ToOwner(slot.Of(t.device), slot.Key(t.device), f.deadline, item, func(*api.SessionResult, *code.Error) {})
}

// undelivered ends a target that no room took: stored, or qos 0's error.
func (f *flight) undelivered(t *target, err *code.Error) {
	if t.push.msg.Qos == 0 {
		f.finish(t, "", err)
		return
	}
	f.finish(t, stateStored, nil)
}

func (f *flight) meta() *api.Meta { return &api.Meta{RequestId: f.request} }
