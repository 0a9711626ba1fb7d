package room

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestDeliveryVerdicts(t *testing.T) {
	w := window{messages: 2, bytes: 100}
	full := &flight{ring: make([]flying, 2)}
	full.push(48, 10, 1)
	full.push(50, 10, 1)
	heavy := &flight{ring: make([]flying, 2)}
	heavy.push(50, 100, 1)
	for _, c := range []struct {
		name      string
		p         position
		seq, prev uint64
		closed    bool
		want      verdict
		known     uint64
	}{
		{"next in line", position{sent: 50, known: 50, loaded: true}, 60, 50, false, verdictWrite, 60},
		{"its predecessor is gone", position{sent: 50, known: 50, loaded: true}, 60, 40, false, verdictWrite, 60},
		{"first of an empty lane", position{loaded: true}, 60, 0, false, verdictWrite, 60},
		{"seen before", position{sent: 50, known: 50, loaded: true}, 50, 40, false, verdictDuplicate, 50},
		{"older than sent", position{sent: 50, known: 50, loaded: true}, 30, 0, false, verdictDuplicate, 50},
		{"a gap before it", position{sent: 50, known: 50, loaded: true}, 70, 60, false, verdictHave, 70},
		{"a load runs", position{sent: 50, known: 50, loaded: true, loading: true}, 60, 50, false, verdictHave, 60},
		{"login is not finished", position{}, 60, 0, false, verdictHave, 60},
		{"the window is full", position{sent: 50, known: 50, loaded: true, flight: full}, 60, 50, false, verdictHave, 60},
		{"the window's bytes are full", position{sent: 50, known: 50, loaded: true, flight: heavy}, 60, 50, false, verdictHave, 60},
		{"the connection takes no pushes", position{sent: 50, known: 50, loaded: true}, 60, 50, true, verdictHave, 60},
		{"below known but after sent", position{sent: 50, known: 90, loaded: true}, 60, 50, false, verdictWrite, 90},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := c.p
			if got := p.deliver(c.seq, c.prev, w, !c.closed); got != c.want || p.known != c.known || p.sent != c.p.sent {
				t.Errorf("verdict %d, %+v", got, p)
			}
		})
	}
}

func TestLoadsAndAcks(t *testing.T) {
	w := window{messages: 3, bytes: 1000}
	p := position{}
	if !p.wantsLoad(w, false) {
		t.Error("no login load")
	}
	p.loading = true
	p.deliver(45, 44, w, true)
	p.login(40)
	p.flight = newFlight(3)
	for _, seq := range []uint64{41, 42} {
		if !p.takes(seq) {
			t.Errorf("%d not taken", seq)
		}
		p.wrote(seq, 10, 5)
	}
	p.pageEnd(44, 44, true)
	if p.sent != 44 || p.known != 45 || p.takes(44) || !p.wantsLoad(w, true) || p.wantsLoad(w, false) {
		t.Errorf("after the page %+v", p)
	}
	if m, b := p.free(w); m != 1 || b != 980 {
		t.Errorf("free %d %d", m, b)
	}
	if at, cut := p.ack(99); at != 5 || !cut || p.acked != 44 || p.flight.n != 0 || p.flight.bytes != 0 {
		t.Errorf("cut ack: %d %v %+v", at, cut, p)
	}
	if at, cut := p.ack(41); at != 0 || cut || p.acked != 44 {
		t.Errorf("old ack: %d %v %+v", at, cut, p)
	}
	p.pageEnd(60, 0, false)
	if p.sent != 44 || p.known != 60 {
		t.Errorf("a page that is not the last: %+v", p)
	}
	p.pageEnd(0, 70, true)
	if p.sent != 70 || p.known != 70 || p.wantsLoad(w, true) {
		t.Errorf("an empty last page: %+v", p)
	}
}

// modelSaver is the lane as saver keeps it.
type modelSaver struct {
	clock uint64
	lane  []modelMessage
	gone  map[uint64]bool // taken back before they were acknowledged
}

type modelMessage struct{ seq, prev uint64 }

type modelPage struct {
	messages   []modelMessage
	more       bool
	tail, asOf uint64
}

func (s *modelSaver) append(step uint64) modelMessage {
	s.clock += step
	m := modelMessage{seq: s.clock}
	if n := len(s.lane); n > 0 {
		m.prev = s.lane[n-1].seq
	}
	s.lane = append(s.lane, m)
	return m
}

func (s *modelSaver) page(after uint64, most int) (p modelPage) {
	p.asOf = s.clock
	for _, m := range s.lane {
		p.tail = m.seq
		switch {
		case m.seq <= after:
		case len(p.messages) == most:
			p.more = true
		default:
			p.messages = append(p.messages, m)
		}
	}
	return p
}

func (s *modelSaver) trim(seq uint64) {
	s.lane = slices.DeleteFunc(s.lane, func(m modelMessage) bool { return m.seq <= seq })
}

// TestRuleAgainstModel lets appends, deliveries (late, lost, twice, out of
// order), loads (late or failed), acks and recalls meet in any order: each
// message is written at most once and in order, and when all is quiet every
// message that was not taken back was written and acknowledged.
func TestRuleAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := window{messages: rapid.IntRange(1, 4).Draw(t, "window"), bytes: 1000}
		saver := &modelSaver{clock: 100, gone: map[uint64]bool{}}
		var (
			p          position
			written    []uint64
			everything []uint64
			sweep      = map[uint64]modelMessage{} // no room has answered for them
			late       []modelMessage              // deliveries on their way
			page       *modelPage                  // the load on its way, when it was read
			after      uint64
		)
		write := func(m modelMessage) {
			if n := len(written); n > 0 && written[n-1] >= m.seq {
				t.Fatalf("%d written after %d", m.seq, written[n-1])
			}
			written = append(written, m.seq)
			if p.flight == nil {
				p.flight = newFlight(w.messages)
			}
			p.wrote(m.seq, 1, 1)
		}
		pump := func() {
			if p.wantsLoad(w, true) {
				p.loading, page, after = true, nil, p.sent
			}
		}
		deliver := func(m modelMessage) {
			if p.deliver(m.seq, m.prev, w, true) == verdictWrite {
				write(m)
			}
			delete(sweep, m.seq) // have, duplicate and sent all make the rule responsible
			pump()
		}
		read := func() {
			if p.loading && page == nil {
				most, _ := p.free(w)
				got := saver.page(after, most)
				page = &got
			}
		}
		finish := func(ok bool) {
			if !p.loading || page == nil {
				return
			}
			got := *page
			page = nil
			if !ok {
				p.loading = false
				pump()
				return
			}
			p.login(0)
			for _, m := range got.messages {
				if p.takes(m.seq) {
					write(m)
				}
			}
			p.pageEnd(got.tail, got.asOf, !got.more)
			pump()
		}
		ack := func(seq uint64) {
			p.ack(seq)
			saver.trim(p.acked)
			if p.flight != nil && p.flight.n == 0 {
				p.flight = nil
			}
			pump()
		}
		pump()
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				m := saver.append(rapid.Uint64Range(1, 3).Draw(t, "step"))
				everything = append(everything, m.seq)
				sweep[m.seq] = m
				late = append(late, m)
			},
			"deliver": func(t *rapid.T) {
				if len(late) == 0 {
					return
				}
				i := rapid.IntRange(0, len(late)-1).Draw(t, "which")
				m := late[i]
				if !rapid.Bool().Draw(t, "again") {
					late = slices.Delete(late, i, i+1)
				}
				deliver(m)
			},
			"lose": func(t *rapid.T) {
				if len(late) > 0 {
					late = late[1:]
				}
			},
			"clock":     func(t *rapid.T) { saver.clock++ },
			"read":      func(*rapid.T) { read() },
			"page":      func(*rapid.T) { finish(true) },
			"load lost": func(*rapid.T) { finish(false) },
			"ack": func(t *rapid.T) {
				if len(written) > 0 {
					ack(written[rapid.IntRange(0, len(written)-1).Draw(t, "upto")])
				}
			},
			"recall": func(t *rapid.T) {
				if len(saver.lane) == 0 {
					return
				}
				i := rapid.IntRange(0, len(saver.lane)-1).Draw(t, "which")
				seq := saver.lane[i].seq
				saver.gone[seq] = true
				saver.lane = slices.Delete(saver.lane, i, i+1)
			},
			"": func(t *rapid.T) {
				if p.acked > p.sent || p.sent > p.known {
					t.Fatalf("acked %d, sent %d, known %d", p.acked, p.sent, p.known)
				}
				if p.flight != nil && p.flight.n > w.messages {
					t.Fatalf("%d in flight", p.flight.n)
				}
			},
		})
		// Quiet: nothing is appended any more, the sweep hands over what no
		// room answered for, loads succeed, the device acknowledges.
		for range 10*len(everything) + 20 {
			for _, seq := range slices.Sorted(maps.Keys(sweep)) {
				deliver(sweep[seq])
			}
			read()
			finish(true)
			if n := len(written); n > 0 {
				ack(written[n-1])
			}
		}
		if p.loading || p.sent < p.known || len(saver.lane) > 0 {
			t.Fatalf("stuck: %+v, lane %v", p, saver.lane)
		}
		for _, seq := range everything {
			if !saver.gone[seq] && !slices.Contains(written, seq) {
				t.Fatalf("%d was never written: %s", seq, fmt.Sprint(written))
			}
		}
	})
}

func TestFlightWrapsAround(t *testing.T) {
	f := newFlight(3)
	for seq := uint64(1); seq <= 100; seq++ {
		f.push(seq, 5, int64(seq))
		if seq >= 3 {
			if at := f.popTo(seq - 2); at != int64(seq-2) || f.n != 2 || f.bytes != 10 {
				t.Fatalf("seq %d: %d %+v", seq, at, f)
			}
		}
	}
	if at := f.popTo(1000); at != 100 || f.n != 0 || f.bytes != 0 {
		t.Errorf("%d %+v", at, f)
	}
}
