package register

import (
	"context"
	"time"

	"google.golang.org/grpc"

	"longlink/pkg/api"
	"longlink/pkg/code"
	"longlink/pkg/rpc"
	"longlink/pkg/slot"
)

// Update implements api.RegisterServer. Called by rooms, and by center with
// DELETE for a session that its room answered `gone`.
func (r *Register) Update(s grpc.BidiStreamingServer[api.SessionBatch, api.SessionReply]) error {
	return rpc.ServeBatches(s, func(n uint64, results []*api.SessionResult) *api.SessionReply {
		return &api.SessionReply{Number: n, Results: results}
	}, func(_ context.Context, h *api.BatchHeader, items []*api.SessionItem) []*api.SessionResult {
		out := make([]*api.SessionResult, len(items))
		for i, item := range items {
			out[i] = r.update(h, item)
		}
		return out
	})
}

func (r *Register) update(h *api.BatchHeader, item *api.SessionItem) *api.SessionResult {
	s := item.GetSession()
	if s.GetDevice() == "" || s.GetRoom() == "" {
		return refuse(code.Invalid("session", "needs a device and a room"))
	}
	at, now := slot.Of(s.Device), time.Now()
	if !r.slots.owned[at].Load() && h.GetViewRevision() <= r.slots.viewRevision() {
		r.metrics.updates.WithLabelValues("any", code.WrongOwner.String()).Inc()
		return refuse(errWrongOwner(at))
	}
	n := newSession(s)
	if room := n.room.Value(); r.rooms.presence(room) != present {
		r.rooms.hide(room, now) // before it is stored: the sweep must see it hidden
	}
	var winner *session
	switch item.Op {
	case api.SessionItem_OP_PUT:
		var displaced *session
		n.change = uint16(item.Change)
		winner, displaced = r.store.put(s.Device, n, func(o *session) bool { return r.rooms.presence(o.room.Value()) == dead })
		if winner == nil {
			r.metrics.updates.WithLabelValues("put", code.RateLimited.String()).Inc()
			return refuse(code.Errorf(code.RateLimited, "this register holds %d sessions, its limit", r.cfg.MaxSessions))
		}
		if !r.slots.owned[at].Load() {
			r.slots.stray(at, now)
		}
		if displaced != nil && displaced.room != n.room {
			r.displaced(s.Device, displaced, n)
		}
		r.metrics.updates.WithLabelValues("put", won(winner == n)).Inc()
	case api.SessionItem_OP_DELETE:
		winner = r.store.delete(s.Device, n)
		r.metrics.updates.WithLabelValues("delete", won(winner == nil)).Inc()
	default:
		return refuse(code.Invalid("op", "%v is not known", item.Op))
	}
	if winner == nil {
		return &api.SessionResult{}
	}
	return &api.SessionResult{WinnerRoom: winner.room.Value().id, WinnerEpoch: winner.epoch}
}

func refuse(e *code.Error) *api.SessionResult { return &api.SessionResult{Result: rpc.ResultOf(e)} }

func won(yes bool) string {
	if yes {
		return code.OK.String()
	}
	return "lost"
}

func errWrongOwner(s uint16) *code.Error {
	return code.Errorf(code.WrongOwner, "slot %d is another register's in this one's view", s)
}

// find is what every question about a device goes through: the session, or
// OFFLINE when it is certain that there is none, or NOT_READY or WRONG_OWNER.
func (r *Register) find(device string) (*session, *code.Error) {
	at := slot.Of(device)
	// What makes an absence certain is read before the session, what makes it
	// uncertain after it: both may change at any moment.
	missing := r.slots.missing[at].Load()
	s := r.store.get(device)
	if !r.slots.owned[at].Load() {
		return nil, errWrongOwner(at)
	}
	if s != nil {
		switch r.rooms.presence(s.room.Value()) {
		case present:
			return s, nil
		case absent:
			return nil, code.Errorf(code.NotReady, "the device's room has left the view a moment ago")
		}
	}
	if missing > 0 {
		return nil, code.Errorf(code.NotReady, "%d rooms have not told the sessions of slot %d yet", missing, at)
	}
	return nil, code.Errorf(code.Offline, "the device is not connected")
}

// Locate implements api.RegisterServer. Called by center.
func (r *Register) Locate(s grpc.BidiStreamingServer[api.LocateBatch, api.LocateReply]) error {
	return rpc.ServeBatches(s, func(n uint64, results []*api.LocateResult) *api.LocateReply {
		return &api.LocateReply{Number: n, Results: results}
	}, func(ctx context.Context, h *api.BatchHeader, items []*api.LocateItem) []*api.LocateResult {
		if revision := h.GetViewRevision(); r.denies(items) && !r.slots.has(revision) {
			r.catchUp(ctx, revision)
		}
		out := make([]*api.LocateResult, len(items))
		for i, item := range items {
			out[i] = r.locate(item)
		}
		return out
	})
}

func (r *Register) locate(item *api.LocateItem) *api.LocateResult {
	s, err := r.find(item.Device)
	if err == nil && !s.binds(item.Product) {
		err = code.Errorf(code.Offline, "the device is connected and has not bound %s", item.Product)
	}
	r.metrics.locates.WithLabelValues(codeOf(err)).Inc()
	if err != nil {
		return &api.LocateResult{Result: rpc.ResultOf(err)}
	}
	room := s.room.Value()
	return &api.LocateResult{Room: room.id, RoomEpoch: room.epoch, Conn: s.conn, Epoch: s.epoch}
}

// Describe implements api.RegisterServer. Called by center.
func (r *Register) Describe(_ context.Context, req *api.DescribeRequest) (*api.DescribeReply, error) {
	out := &api.DescribeReply{}
	for _, device := range req.Devices {
		d := &api.DescribeResult{}
		if s, err := r.find(device); err != nil {
			d.Result = rpc.ResultOf(err)
		} else {
			d.Session = s.describe(device)
		}
		out.Results = append(out.Results, d)
	}
	return out, nil
}

// Refilled implements api.RegisterServer. Called by rooms, whose view may be
// ahead of this instance's: then it waits a moment. Without slots it is the
// question whether this instance waits for the room: FAILED_PRECONDITION says
// that it does, and that the room has to push everything again.
func (r *Register) Refilled(ctx context.Context, req *api.RefilledRequest) (*api.RefilledReply, error) {
	if req.Register != r.self.ID || req.RegisterEpoch != r.self.Epoch {
		return nil, code.Errorf(code.WrongOwner, "this is %s in life %d, not %s in life %d", r.self.ID, r.self.Epoch, req.Register, req.RegisterEpoch)
	}
	ctx, cancel := context.WithTimeout(ctx, r.cfg.RefillWait.Std())
	defer cancel()
	if !r.await(ctx, req.ViewRevision, r.cfg.RefillWait.Std()/8) {
		r.catchUp(ctx, req.ViewRevision)
	}
	if !r.slots.has(req.ViewRevision) {
		return nil, code.Errorf(code.NotReady, "this register's view is at revision %d, behind %d", r.slots.viewRevision(), req.ViewRevision)
	}
	room := roomKey{req.Room, req.RoomEpoch}
	if n := r.slots.owed(room); n > 0 && len(req.Slots) == 0 {
		return nil, code.Errorf(code.FailedPrecondition, "%d slots wait for the sessions of room %s", n, req.Room)
	}
	r.slots.done(room, req.ViewRevision, req.Slots)
	return &api.RefilledReply{}, nil
}
