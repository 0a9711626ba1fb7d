package room

import (
	"net"
	"syscall"
	"testing"

	"longlink/pkg/api"
	"longlink/pkg/code"
	"longlink/pkg/wire"
)

func TestWindowClosesAndOpens(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.LaneWindow = 4 })
	for range 6 {
		w.saver.append("dev", "demo", &api.Message{Payload: []byte("stored")})
	}
	d := w.login("dev", wire.Binding{Product: "demo"})
	var last uint64
	take := func(n int) {
		t.Helper()
		for range n {
			p := d.push()
			if p.Seq <= last {
				t.Fatalf("seq %d after %d", p.Seq, last)
			}
			last = p.Seq
		}
	}
	take(4)
	m := w.saver.append("dev", "demo", &api.Message{Payload: []byte("more")})
	if state, _ := w.hand("dev", "demo", m); state != api.DeliverResult_STATE_HAVE {
		t.Errorf("window closed: %v", state)
	}
	once := &api.LaneMessage{Message: &api.Message{Payload: []byte("now or never")}}
	if state, _ := w.hand("dev", "demo", once); state != api.DeliverResult_STATE_DROPPED {
		t.Errorf("qos 0 with a closed window: %v", state)
	}
	d.ping() // nothing was written meanwhile
	d.ack("demo", last)
	take(3)
	if last != m.Seq {
		t.Errorf("last %d, want %d", last, m.Seq)
	}
	d.ack("demo", last+1_000_000) // cut to what was sent
	eventually(t, "all is acknowledged", func() bool { return w.saver.acked("dev", "demo") == last })
	if state, _ := w.hand("dev", "demo", once); state != api.DeliverResult_STATE_SENT {
		t.Errorf("qos 0: %v", state)
	}
	if p := d.push(); p.Seq != 0 {
		t.Errorf("qos 0 with seq %d", p.Seq)
	}
	// A gap: the room loads both, in order.
	a := w.saver.append("dev", "demo", &api.Message{Payload: []byte("a")})
	b := w.saver.append("dev", "demo", &api.Message{Payload: []byte("b")})
	if state, _ := w.hand("dev", "demo", b); state != api.DeliverResult_STATE_HAVE {
		t.Errorf("after a gap: %v", state)
	}
	take(2)
	if last != b.Seq {
		t.Errorf("last %d, want %d after %d", last, b.Seq, a.Seq)
	}
	if state, err := w.hand("dev", "demo", nil); err == nil || err.Code != code.InvalidArgument {
		t.Errorf("no message: %v %v", state, err)
	}
}

// TestSaverAwayAtLogin: WELCOME comes without saver, BOUND when it is back; the
// device's cursor counts.
func TestSaverAwayAtLogin(t *testing.T) {
	w := newWorld(t, nil)
	seen := w.saver.append("dev", "demo", &api.Message{Payload: []byte("seen")})
	fresh := w.saver.append("dev", "demo", &api.Message{Payload: []byte("fresh")})
	down := code.Errorf(code.Unavailable, "away")
	w.saver.set(func(f *fakeSaver) { f.fail = down })
	w.reg.set(func(f *fakeRegister) { f.fail = down })
	d := w.dial()
	d.hello(w, "dev", wire.Binding{Product: "demo", Cursor: seen.Seq})
	d.welcome()
	d.ping()
	w.saver.set(func(f *fakeSaver) {
		if len(f.loads) > 0 {
			t.Error("loaded before register had answered")
		}
	})
	w.reg.set(func(f *fakeRegister) { f.fail = nil })
	eventually(t, "a load was tried", func() bool {
		w.saver.mu.Lock()
		defer w.saver.mu.Unlock()
		return len(w.saver.loads) > 1
	})
	d.ping()
	w.saver.set(func(f *fakeSaver) { f.fail = nil })
	if m := d.bound("demo", code.OK); m.Cursor != seen.Seq {
		t.Errorf("cursor %d, want %d", m.Cursor, seen.Seq)
	}
	if p := d.push(); p.Seq != fresh.Seq {
		t.Errorf("seq %d, want %d", p.Seq, fresh.Seq)
	}
	// An ack that fails is repeated.
	w.saver.set(func(f *fakeSaver) { f.fail = down })
	d.ack("demo", fresh.Seq)
	d.ping()
	w.saver.set(func(f *fakeSaver) { f.fail = nil })
	eventually(t, "the ack came through", func() bool { return w.saver.acked("dev", "demo") == fresh.Seq })

	// A refusal that no retry mends ends in BOUND with its code.
	w.saver.set(func(f *fakeSaver) { f.fail = code.Errorf(code.UnknownProduct, "deleted") })
	other := w.dial()
	other.hello(w, "other", wire.Binding{Product: "demo"})
	other.welcome()
	other.bound("demo", code.UnknownProduct)
}

// TestSlowReader: a device that takes nothing is closed; another one is served
// all the while.
func TestSlowReader(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		c.LaneWindow, c.WindowBytes = 1024, 16<<20
		c.OutboundLimit = 256 << 10
		c.SlowTimeout = ms(150)
	})
	fine := w.login("fine", wire.Binding{Product: "demo"})
	dialer := net.Dialer{Control: func(_, _ string, rc syscall.RawConn) error {
		var err error
		cerr := rc.Control(func(fd uintptr) {
			err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 8192)
		})
		if cerr != nil {
			return cerr
		}
		return err
	}}
	c, err := dialer.Dial("tcp", w.room.Addresses()[0])
	if err != nil {
		t.Fatal(err)
	}
	slow := &device{t: t, Conn: c}
	defer c.Close()
	slow.hello(w, "slow", wire.Binding{Product: "demo"})
	eventually(t, "the slow device is bound", func() bool {
		r, err := w.client.Inspect(t.Context(), &api.InspectRequest{Devices: []string{"slow"}})
		return err == nil && len(r.Results[0].Lanes) == 1 && !r.Results[0].Lanes[0].Loading
	})
	payload, held := make([]byte, 60<<10), false
	for range 200 {
		m := w.saver.append("slow", "demo", &api.Message{Payload: payload})
		state, err := w.hand("slow", "demo", m)
		if err != nil {
			t.Fatal(err)
		}
		if held = state == api.DeliverResult_STATE_HAVE; held {
			break
		}
	}
	if !held {
		t.Fatal("a device that reads nothing took everything")
	}
	if n := w.room.outbound.Load(); n == 0 || n > 512<<10 {
		t.Errorf("outbound gauge %d", n)
	}
	once := &api.LaneMessage{Message: &api.Message{Payload: payload}}
	if state, _ := w.hand("slow", "demo", once); state != api.DeliverResult_STATE_DROPPED {
		t.Errorf("qos 0 to a slow device: %v", state)
	}
	m := w.saver.append("fine", "demo", &api.Message{Payload: []byte("x")})
	if state, err := w.hand("fine", "demo", m); err != nil || state != api.DeliverResult_STATE_SENT {
		t.Errorf("%v %v", state, err)
	}
	fine.push()
	eventually(t, "the slow one is off", func() bool { return w.reg.session("slow") == nil })
	fine.ping()
	eventually(t, "its buffer is gone", func() bool { return w.room.connections.Load() == 1 && w.room.outbound.Load() == 0 })
}

// TestReaderThatPausesIsServed: a full outbound buffer that drains again costs
// nothing: the lane goes on where it stopped.
func TestReaderThatPausesIsServed(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		c.LaneWindow, c.WindowBytes = 1024, 16<<20
		c.OutboundLimit = 256 << 10
	})
	payload := make([]byte, 60<<10)
	const stored = 200
	for range stored {
		w.saver.append("dev", "demo", &api.Message{Payload: payload})
	}
	d := w.dial()
	d.hello(w, "dev", wire.Binding{Product: "demo"})
	eventually(t, "the buffer is full", func() bool { return w.room.outbound.Load() > 128<<10 })
	d.welcome()
	d.bound("demo", code.OK)
	var last uint64
	for range stored {
		p := d.push()
		if p.Seq <= last {
			t.Fatalf("seq %d after %d", p.Seq, last)
		}
		last = p.Seq
	}
	d.ack("demo", last)
	eventually(t, "all is acknowledged", func() bool { return w.saver.acked("dev", "demo") == last })
}
