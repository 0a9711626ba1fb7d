package sdk

import (
	"testing"

	"pgregory.net/rapid"
)

// Whatever a server sends in whatever order, over breaks and jumps of the
// cursor: a lane's queue stays within the window, rises, and holds nothing that
// is consumed.
func TestLaneQueueInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const window = 4
		p := newProduct(Product{Name: "p"}, Cursor{}, false)
		l := p.own
		l.busy = true
		t.Repeat(map[string]func(*rapid.T){
			"offer": func(t *rapid.T) {
				l.offer(Message{Product: "p", Seq: rapid.Uint64Range(0, 40).Draw(t, "seq")}, window)
			},
			"consume": func(t *rapid.T) {
				if m, ok := l.pop(); ok && m.Seq != 0 {
					if m.Seq <= p.cursor {
						t.Fatalf("%d came again, the cursor is %d", m.Seq, p.cursor)
					}
					p.consumed(&m)
				}
				l.running = 0
			},
			"jump": func(t *rapid.T) {
				p.cursor = rapid.Uint64Range(0, 40).Draw(t, "cursor")
				l.restart(true)
			},
			"break": func(*rapid.T) { l.restart(false) },
			"": func(t *rapid.T) {
				last, stored := p.cursor, 0
				for _, m := range l.queue {
					if m.Seq == 0 {
						continue
					}
					if stored++; m.Seq <= last {
						t.Fatalf("queue %v with the cursor at %d", l.queue, p.cursor)
					}
					last = m.Seq
				}
				if stored != l.stored || stored > window || len(l.queue)-stored > window {
					t.Fatalf("%d in the queue, %d counted, %d qos 0", stored, l.stored, len(l.queue)-stored)
				}
			},
		})
	})
}
