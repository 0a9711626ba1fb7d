package room

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"longlink/pkg/api"
	"longlink/pkg/code"
	"longlink/pkg/wire"
)

// TestManyDevicesUnderDrops: devices that break off at any moment, a saver and
// a register that fail now and then, deliveries that get lost: every device
// consumes every message of its lanes once, in order.
func TestManyDevicesUnderDrops(t *testing.T) {
	const devices, perLane = 30, 150
	products := []string{"demo", "news"}
	w := newWorld(t, func(c *Config) { c.LaneWindow = 5; c.RetryMin, c.RetryMax = ms(10), ms(40) })
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)

	var wg sync.WaitGroup
	var produced atomic.Bool
	for i := range devices {
		s := &soakDevice{w: w, id: fmt.Sprintf("soak-%d", i), rnd: rand.New(rand.NewPCG(seed, uint64(i))),
			cursor: map[string]uint64{}, got: map[string]int{}, want: perLane, products: products}
		wg.Go(func() { s.run(&produced) })
	}
	rnd := rand.New(rand.NewPCG(seed, 1<<32))
	for n := range perLane {
		for i := range devices {
			for _, p := range products {
				id := fmt.Sprintf("soak-%d", i)
				m := w.saver.append(id, p, &api.Message{Id: fmt.Sprint(n), Payload: []byte(fmt.Sprint(n))})
				if rnd.IntN(4) > 0 { // else lost: the next load or the sweep finds it
					_, _ = w.hand(id, p, m)
				}
			}
		}
		var fail *code.Error
		if n%10 == 9 {
			fail = code.Errorf(code.Unavailable, "away for a moment")
		}
		w.saver.set(func(f *fakeSaver) { f.fail = fail })
		w.reg.set(func(f *fakeRegister) { f.fail = fail })
	}
	w.saver.set(func(f *fakeSaver) { f.fail = nil })
	w.reg.set(func(f *fakeRegister) { f.fail = nil })
	produced.Store(true)
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	w.sweep(done)
	eventually(t, "all lanes are empty", func() bool {
		w.saver.mu.Lock()
		defer w.saver.mu.Unlock()
		for _, lane := range w.saver.lanes {
			if len(lane) > 0 {
				return false
			}
		}
		return true
	})
	eventually(t, "nobody is registered", func() bool {
		w.reg.mu.Lock()
		defer w.reg.mu.Unlock()
		return len(w.reg.sessions) == 0
	})
	if n := w.metric("longlink_room_panics_total"); n != 0 {
		t.Errorf("%v panics", n)
	}
	if n := w.room.sessions.Load(); n != 0 {
		t.Errorf("%d sessions are left", n)
	}
}

// sweep hands over what waits in the lanes, as saver does, until done.
func (w *world) sweep(done <-chan struct{}) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case <-tick.C:
		}
		waiting := map[string]*api.LaneMessage{}
		w.saver.set(func(f *fakeSaver) {
			for key, lane := range f.lanes {
				if len(lane) > 0 {
					waiting[key] = lane[len(lane)-1]
				}
			}
		})
		for key, m := range waiting {
			device, product, _ := strings.Cut(key, "/")
			_, _ = w.hand(device, product, m)
		}
	}
}

// soakDevice consumes until it has everything; it keeps its cursors over
// connections, as the SDK does.
type soakDevice struct {
	w        *world
	id       string
	rnd      *rand.Rand
	products []string
	cursor   map[string]uint64
	got      map[string]int
	want     int
	epoch    uint64
}

func (s *soakDevice) complete() bool {
	for _, p := range s.products {
		if s.got[p] < s.want {
			return false
		}
	}
	return true
}

func (s *soakDevice) run(produced *atomic.Bool) {
	for end := time.Now().Add(60 * time.Second); !s.complete(); {
		if time.Now().After(end) {
			s.w.t.Errorf("%s: incomplete: %v", s.id, s.got)
			return
		}
		life := s.rnd.IntN(60)
		if produced.Load() {
			life = 1 << 30
		}
		s.connect(life)
	}
}

// connect lives for that many frames.
func (s *soakDevice) connect(frames int) {
	c, err := net.Dial("tcp", s.w.room.Addresses()[s.rnd.IntN(2)])
	if err != nil {
		s.w.t.Error(err)
		return
	}
	defer c.Close()
	d := newDevice(s.w.t, c)
	h := &wire.Hello{Version: wire.Version, Device: s.id, Token: s.w.token(s.id, s.products...), Epoch: s.epoch}
	for _, p := range s.products {
		h.Bindings = append(h.Bindings, wire.Binding{Product: p, Cursor: s.cursor[p]})
	}
	d.send(wire.AppendHello(nil, h))
	for ; frames > 0 && !s.complete(); frames-- {
		t, body, ok := d.frame()
		if !ok {
			return
		}
		switch t {
		case wire.TypeWelcome:
			m, _ := wire.ParseWelcome(body)
			s.epoch = max(s.epoch, m.Session)
		case wire.TypeBound:
			m, _ := wire.ParseBound(body)
			if m.Code != code.OK || m.Cursor != s.cursor[m.Product] {
				s.w.t.Errorf("%s: BOUND %+v, cursor %d", s.id, m, s.cursor[m.Product])
			}
		case wire.TypePush:
			m, _ := wire.ParsePush(body)
			s.consume(d, string(m.Product), m)
		case wire.TypeBye:
			m, _ := wire.ParseBye(body)
			s.w.t.Errorf("%s: BYE %s", s.id, m.Code)
			return
		}
	}
}

func (s *soakDevice) consume(d *device, product string, m wire.Push) {
	if m.Seq <= s.cursor[product] {
		s.w.t.Errorf("%s: seq %d came again after %d", s.id, m.Seq, s.cursor[product])
		return
	}
	if want := fmt.Sprint(s.got[product]); string(m.Payload) != want {
		s.w.t.Errorf("%s: message %s, want %s", s.id, m.Payload, want)
	}
	s.cursor[product] = m.Seq
	s.got[product]++
	if s.rnd.IntN(8) > 0 || s.got[product] == s.want { // else the ack is lost with the connection, or the next covers it
		d.ack(product, m.Seq)
	}
}
