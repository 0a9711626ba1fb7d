package register

import (
	"slices"
	"unique"

	"longlink/pkg/api"
)

// roomKey is one life of a room.
type roomKey struct {
	id    string
	epoch uint64
}

// text is a string that many sessions share: product, tag, network, client.
type text = unique.Handle[string]

// session is what is kept of a connected device. It is immutable once stored:
// a change replaces it.
type session struct {
	room     unique.Handle[roomKey]
	conn     uint64
	epoch    uint64
	sinceMS  int64
	change   uint16 // which of the session's PUTs; counts around
	network  text
	client   text
	remote   string
	bindings []binding
}

type binding struct {
	product text
	tags    []text
}

func newSession(s *api.Session) *session {
	n := &session{
		room: unique.Make(roomKey{s.Room, s.RoomEpoch}), conn: s.Conn, epoch: s.Epoch, sinceMS: s.SinceMs,
		network: unique.Make(s.Network), client: unique.Make(s.Client), remote: s.Remote,
	}
	if len(s.Bindings) > 0 {
		n.bindings = make([]binding, len(s.Bindings))
	}
	for i, b := range s.Bindings {
		n.bindings[i].product = unique.Make(b.Product)
		if len(b.Tags) > 0 {
			n.bindings[i].tags = make([]text, len(b.Tags))
		}
		for j, t := range b.Tags {
			n.bindings[i].tags[j] = unique.Make(t)
		}
	}
	return n
}

// describe is the session as it came.
func (s *session) describe(device string) *api.Session {
	room := s.room.Value()
	out := &api.Session{Device: device, Room: room.id, RoomEpoch: room.epoch, Conn: s.conn, Epoch: s.epoch,
		Network: s.network.Value(), Client: s.client.Value(), SinceMs: s.sinceMS, Remote: s.remote}
	for _, b := range s.bindings {
		sb := &api.SessionBinding{Product: b.product.Value()}
		for _, t := range b.tags {
			sb.Tags = append(sb.Tags, t.Value())
		}
		out.Bindings = append(out.Bindings, sb)
	}
	return out
}

func (s *session) binds(product string) bool {
	return slices.ContainsFunc(s.bindings, func(b binding) bool { return b.product.Value() == product })
}

// same says whether both are one session, perhaps with other bindings.
func (s *session) same(o *session) bool { return s.room == o.room && s.epoch == o.epoch }

// overtaken says whether o, a later state of the same session, is there already:
// a PUT that was not answered in time may still come, after its repetition.
func (s *session) overtaken(o *session) bool { return int16(s.change-o.change) < 0 }

// beats orders two sessions of one device: the higher epoch, then the higher
// room id, then the later life of that room.
func (s *session) beats(o *session) bool {
	if s.epoch != o.epoch {
		return s.epoch > o.epoch
	}
	a, b := s.room.Value(), o.room.Value()
	if a.id != b.id {
		return a.id > b.id
	}
	return a.epoch > b.epoch
}
