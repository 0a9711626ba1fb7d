package room

import (
	"testing"

	"pgregory.net/rapid"
)

// TestWheelVisitsInTime compares the wheel with a plain map of deadlines.
func TestWheelVisitsInTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var w wheel
		now := rapid.Uint32Range(0, 5000).Draw(t, "start")
		w.reset(now)
		conns := make([]*conn, 8)
		for i := range conns {
			conns[i] = &conn{number: uint64(i)}
		}
		due := map[*conn]uint32{}
		t.Repeat(map[string]func(*rapid.T){
			"arm": func(t *rapid.T) {
				c := rapid.SampledFrom(conns).Draw(t, "conn")
				at := now + rapid.Uint32Range(1, 3*wheelSlots).Draw(t, "in")
				w.arm(c, at)
				if old, armed := due[c]; !armed || at < old {
					due[c] = at
				}
			},
			"disarm": func(t *rapid.T) {
				c := rapid.SampledFrom(conns).Draw(t, "conn")
				w.disarm(c)
				delete(due, c)
			},
			"advance": func(t *rapid.T) {
				now += rapid.Uint32Range(0, 2*wheelSlots).Draw(t, "by")
				w.advance(now, func(c *conn) {
					at, armed := due[c]
					if !armed || at > now || c.tick != 0 {
						t.Fatalf("visited %d at %d, due %d (%v)", c.number, now, at, armed)
					}
					delete(due, c)
				})
				for c, at := range due {
					if at <= now {
						t.Fatalf("%d was due at %d, now %d", c.number, at, now)
					}
				}
			},
			"": func(t *rapid.T) {
				n := 0
				w.each(func(c *conn) {
					if due[c] != c.tick {
						t.Fatalf("%d is armed for %d, want %d", c.number, c.tick, due[c])
					}
					n++
				})
				if n != len(due) {
					t.Fatalf("%d armed, want %d", n, len(due))
				}
			},
		})
	})
}
