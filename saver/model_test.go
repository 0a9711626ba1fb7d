package saver

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"longlink/pkg/code"
)

// model is one lane as the promises describe it.
type model struct {
	waits []modelMessage
	dedup map[string]uint64
	acked uint64
}

type modelMessage struct {
	seq          uint64
	id, text, ck string
}

func (m *model) push(p push, seq uint64, id string) {
	for i, w := range m.waits {
		if p.collapse != "" && w.ck == p.collapse {
			m.waits = append(m.waits[:i], m.waits[i+1:]...)
			break
		}
	}
	m.waits = append(m.waits, modelMessage{seq, id, p.text, p.collapse})
	if p.dedup != "" {
		m.dedup[p.dedup] = seq
	}
}

func (m *model) ack(seq uint64) {
	m.acked = max(m.acked, seq)
	for len(m.waits) > 0 && m.waits[0].seq <= seq {
		m.waits = m.waits[1:]
	}
}

func (m *model) String() string {
	var all []string
	for _, w := range m.waits {
		all = append(all, w.text)
	}
	return strings.Join(all, " ")
}

// Whatever is done to a lane, with Redis lost in between, it holds what the
// model says.
func TestLaneModel(t *testing.T) {
	w := embeddedWorld(t)
	const limit = 12
	s := w.start(func(c *Config) { c.Lane.MaxMessages = limit })
	var devices, n atomic.Uint64
	rapid.Check(t, func(rt *rapid.T) {
		device := fmt.Sprintf("r%d", devices.Add(1))
		m := &model{dedup: map[string]uint64{}}
		var last uint64
		key := rapid.SampledFrom([]string{"", "", "", "k", "l"})
		dedup := rapid.SampledFrom([]string{"", "", "", "x", "y", "z"})
		rt.Repeat(map[string]func(*rapid.T){
			"": func(rt *rapid.T) {
				p := s.load(device, 0, false)
				if got := texts(p); got != m.String() {
					rt.Fatalf("lane holds %q, model %q", got, m)
				}
				if len(m.waits) > 0 && p.Tail != m.waits[len(m.waits)-1].seq || p.AsOf < last {
					rt.Fatalf("tail %d as of %d, last seq %d", p.Tail, p.AsOf, last)
				}
			},
			"push": func(rt *rapid.T) {
				p := push{device: device, text: fmt.Sprint(n.Add(1)), collapse: key.Draw(rt, "collapse"), dedup: dedup.Draw(rt, "dedup")}
				before := append([]modelMessage(nil), m.waits...)
				r, c := s.push(p)
				for c == code.Unknown { // on a connection that had died before: nothing was stored
					r, c = s.push(p)
				}
				seq, seen := m.dedup[p.dedup]
				switch {
				case seen && p.dedup != "":
					if c != code.OK || !r.Duplicate || r.Seq != seq {
						rt.Fatalf("repeat of %d: %v %+v", seq, c, r)
					}
				case c == code.InboxFull:
					if len(before) < limit {
						rt.Fatalf("full with %d messages", len(before))
					}
				case c != code.OK || r.Duplicate || r.Seq <= last:
					rt.Fatalf("push: %v %+v after %d", c, r, last)
				default:
					last = r.Seq
					m.push(p, r.Seq, r.Id)
					var prev uint64
					if len(m.waits) > 1 {
						prev = m.waits[len(m.waits)-2].seq
					}
					if r.Prev != prev {
						rt.Fatalf("prev %d, want %d", r.Prev, prev)
					}
				}
			},
			"ack": func(rt *rapid.T) {
				if len(m.waits) == 0 {
					rt.Skip("nothing waits")
				}
				seq := m.waits[rapid.IntRange(0, len(m.waits)-1).Draw(rt, "upto")].seq
				s.ack(device, seq)
				m.ack(seq)
			},
			"recall": func(rt *rapid.T) {
				if len(m.waits) == 0 {
					rt.Skip("nothing waits")
				}
				i := rapid.IntRange(0, len(m.waits)-1).Draw(rt, "which")
				if got, c := s.take("", m.waits[i].id); c != code.OK || got != "1 of 1" {
					rt.Fatalf("recall of %+v: %s %v", m.waits[i], got, c)
				}
				m.waits = append(m.waits[:i], m.waits[i+1:]...)
			},
			"login": func(rt *rapid.T) {
				cursor := m.acked
				if len(m.waits) > 0 && rapid.Bool().Draw(rt, "ahead") {
					cursor = m.waits[0].seq
				}
				m.ack(cursor)
				if p := s.load(device, cursor, true); p.Cursor != cursor || texts(p) != m.String() {
					rt.Fatalf("login at %d: cursor %d, %q, model %q", cursor, p.Cursor, texts(p), m)
				}
			},
			"lose": func(rt *rapid.T) {
				if rapid.IntRange(0, 3).Draw(rt, "often") > 0 {
					rt.Skip("not so often")
				}
				w.redis.restart(rapid.Bool().Draw(rt, "keep"))
			},
		})
	})
}
