package register

import (
	"testing"

	"longlink/pkg/api"
)

// A PUT that ran out of time at the room comes after its repetition, which has
// bound one more product.
func TestOvertakenPutChangesNothing(t *testing.T) {
	st := &store{limit: 10}
	alive := func(*session) bool { return false }
	put := func(change uint16, products ...string) (winner *session) {
		s := &api.Session{Device: "d", Room: "room-1", RoomEpoch: 7, Epoch: 5}
		for _, p := range products {
			s.Bindings = append(s.Bindings, &api.SessionBinding{Product: p})
		}
		n := newSession(s)
		n.change = change
		winner, _ = st.put("d", n, alive)
		return winner
	}
	put(65535, "a")
	put(1, "a", "b")
	if w := put(0, "a"); w.epoch != 5 || !st.get("d").binds("b") {
		t.Errorf("the earlier state is back: %+v", st.get("d"))
	}
	if put(1, "a", "b", "c"); !st.get("d").binds("c") { // a refill repeats the count
		t.Error("an equal count was refused")
	}
}
