package register

import (
	"testing"

	"longlink/pkg/api"
	"longlink/pkg/code"
)

// TestEpochs plays every order in which the messages of two sessions of one
// device can arrive: whatever the order, the right one is kept.
func TestEpochs(t *testing.T) {
	type step struct {
		del    bool
		s      sess
		winner sess // the answer; zero: nobody holds the device
	}
	a5, b6 := sess{"a", 1, 5}, sess{"b", 1, 6}
	a7, b7 := sess{"a", 1, 7}, sess{"b", 1, 7}
	a6 := sess{"a", 1, 6}
	put := func(s, winner sess) step { return step{false, s, winner} }
	del := func(s, winner sess) step { return step{true, s, winner} }
	for _, c := range []struct {
		name    string
		steps   []step
		final   sess     // zero: OFFLINE
		evicted []string // rooms that are told, in no order
	}{
		{"one", []step{put(a5, a5)}, a5, nil},
		{"again", []step{put(a5, a5), put(a5, a5)}, a5, nil},
		{"gone", []step{put(a5, a5), del(a5, sess{})}, sess{}, nil},
		{"delete of nothing", []step{del(a5, sess{})}, sess{}, nil},
		{"moves, in order", []step{put(a5, a5), put(b6, b6), del(a5, b6)}, b6, []string{"a"}},
		{"moves, disconnect first", []step{put(a5, a5), del(a5, sess{}), put(b6, b6)}, b6, nil},
		{"moves, old one late", []step{put(b6, b6), put(a5, b6)}, b6, nil},
		{"moves, old one late and gone", []step{put(b6, b6), put(a5, b6), del(a5, b6)}, b6, nil},
		{"moves, old one only gone", []step{put(b6, b6), del(a5, b6)}, b6, nil},
		{"moves and ends, old one late", []step{put(b6, b6), del(b6, sess{}), put(a5, a5), del(a5, sess{})}, sess{}, nil},
		{"tie, higher room second", []step{put(a7, a7), put(b7, b7)}, b7, []string{"a"}},
		{"tie, higher room first", []step{put(b7, b7), put(a7, b7)}, b7, nil},
		{"tie, loser's disconnect", []step{put(a7, a7), put(b7, b7), del(a7, b7)}, b7, []string{"a"}},
		{"same room, new connection", []step{put(a5, a5), put(a6, a6), del(a5, a6)}, a6, nil},
		{"same room, old one late", []step{put(a6, a6), put(a5, a6)}, a6, nil},
		{"same room, disconnect of another epoch", []step{put(a6, a6), del(a5, a6), del(a7, a6)}, a6, nil},
		{"delete by another room of that epoch", []step{put(a6, a6), del(sess{"b", 1, 6}, a6)}, a6, nil},
		{"delete by an earlier life of the room", []step{put(a6, a6), del(sess{"a", 0, 6}, a6)}, a6, nil},
		{"there and back", []step{put(a5, a5), put(b6, b6), put(a7, a7), del(b6, a7), del(a5, a7)}, a7, []string{"a", "b"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := ready(t, nil, "a", "b")
			for i, st := range c.steps {
				op := api.SessionItem_OP_PUT
				if st.del {
					op = api.SessionItem_OP_DELETE
				}
				r, err := w.send(op, st.s.of("d", "p"))
				if err != nil || r.WinnerRoom != st.winner.room || r.WinnerEpoch != st.winner.epoch {
					t.Fatalf("step %d: answer %v, %v; want the winner %+v", i, r, err, st.winner)
				}
			}
			want := code.OK
			if c.final == (sess{}) {
				want = code.Offline
			}
			w.finds("d", c.final, want)
			w.await("evictions", func() bool { return len(w.rooms["a"].evictions())+len(w.rooms["b"].evictions()) == len(c.evicted) })
			for _, id := range c.evicted {
				e := w.rooms[id].evictions()
				if len(e) != 1 || e[0].Device != "d" || e[0].WinnerRoom == id {
					t.Errorf("room %s was told %v", id, e)
				}
			}
		})
	}
}

func TestPutReplacesTheBindings(t *testing.T) {
	w := ready(t, nil, "a")
	s := sess{"a", 1, 5}
	w.put(s.of("d"))
	w.finds("d", s, code.Offline)
	w.put(s.of("d", "x", "p"))
	w.finds("d", s, code.OK)
	w.put(s.of("d", "x"))
	w.finds("d", s, code.Offline)
	if n := w.reg.store.count.Load(); n != 1 {
		t.Errorf("%d sessions are counted", n)
	}
}

func TestFullStoreRefusesNewDevicesOnly(t *testing.T) {
	w := ready(t, func(c *Config) { c.MaxSessions = 2 }, "a")
	w.put(sess{"a", 1, 5}.of("d1", "p"))
	w.put(sess{"a", 1, 5}.of("d2", "p"))
	if _, err := w.send(api.SessionItem_OP_PUT, sess{"a", 1, 5}.of("d3", "p")); err == nil || err.Code != code.RateLimited {
		t.Errorf("a third device: %v", err)
	}
	w.put(sess{"a", 1, 6}.of("d2", "p"))
	if _, err := w.send(api.SessionItem_OP_DELETE, sess{"a", 1, 5}.of("d1")); err != nil {
		t.Fatal(err)
	}
	w.put(sess{"a", 1, 5}.of("d3", "p"))
}

func TestBadUpdates(t *testing.T) {
	w := ready(t, nil, "a")
	for name, item := range map[string]*api.SessionItem{
		"no session": {Meta: &api.Meta{}, Op: api.SessionItem_OP_PUT},
		"no room":    {Meta: &api.Meta{}, Op: api.SessionItem_OP_PUT, Session: &api.Session{Device: "d"}},
		"no op":      {Meta: &api.Meta{}, Session: sess{"a", 1, 5}.of("d")},
	} {
		if r := w.reg.update(&api.BatchHeader{}, item); code.Code(r.GetResult().GetCode()) != code.InvalidArgument {
			t.Errorf("%s: %v", name, r)
		}
	}
}
