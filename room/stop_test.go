package room

import (
	"testing"
	"time"

	"longlink/pkg/api"
	"longlink/pkg/cluster"
	"longlink/pkg/code"
	"longlink/pkg/slot"
	"longlink/pkg/wire"
)

func TestStopSaysShutdown(t *testing.T) {
	w := newWorld(t, nil)
	m := w.saver.append("dev", "demo", &api.Message{Payload: []byte("x")})
	d := w.login("dev", wire.Binding{Product: "demo"})
	stranger := w.dial()
	d.push()
	d.ack("demo", m.Seq)
	eventually(t, "both are there", func() bool { return w.room.connections.Load() == 2 })
	began := time.Now()
	go d.frameUntilEnd()
	done := make(chan struct{})
	go func() { defer close(done); w.stop() }()
	if bye := stranger.bye(code.Shutdown); bye.RetryMS < code.Shutdown.Row().RetryMS {
		t.Errorf("%+v", bye)
	}
	<-done
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("took %v", took)
	}
	if w.reg.session("dev") != nil {
		t.Error("still registered")
	}
	if got := w.saver.acked("dev", "demo"); got != m.Seq {
		t.Errorf("acked %d, want %d", got, m.Seq)
	}
	if err := w.room.Check(t.Context()); err == nil {
		t.Error("ready after stop")
	}
	if state, _ := w.hand("dev", "demo", m); state != api.DeliverResult_STATE_GONE {
		t.Errorf("deliver after stop: %v", state)
	}
}

// frameUntilEnd reads as a device does that leaves at BYE.
func (d *device) frameUntilEnd() {
	for {
		t, _, ok := d.frame()
		if !ok || t == wire.TypeBye {
			_ = d.Close()
			return
		}
	}
}

// TestPanicCostsOneConnection breaks a connection's state so that writing to it
// panics.
func TestPanicCostsOneConnection(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Loops = 1 })
	victim := w.login("victim", wire.Binding{Product: "demo"})
	other := w.login("other", wire.Binding{Product: "demo"})
	c := w.room.devices.get("victim")
	c.loop.post(taskFunc(func(*loop) { c.lanes[0].flight = &flight{n: -1} }))
	m := w.saver.append("victim", "demo", &api.Message{Payload: []byte("x")})
	if _, err := w.hand("victim", "demo", m); err == nil || err.Code != code.Unavailable {
		t.Errorf("%v", err)
	}
	for {
		typ, body, ok := victim.frame()
		if !ok {
			t.Fatal("closed without BYE")
		}
		if typ == wire.TypeBye {
			if b, _ := wire.ParseBye(body); b.Code != code.Internal {
				t.Errorf("BYE %s", b.Code)
			}
			break
		}
	}
	other.ping()
	if n := w.metric("longlink_room_panics_total"); n != 1 {
		t.Errorf("%v panics counted", n)
	}
}

// TestRefill: a register that is new, in whichever way, gets every session of
// its slots and is then told that this was all.
func TestRefill(t *testing.T) {
	w := newWorld(t, nil)
	eventually(t, "the first register was told", func() bool {
		w.reg.mu.Lock()
		defer w.reg.mu.Unlock()
		return len(w.reg.refilled) == 1 && len(w.reg.refilled[0].Slots) == slot.Count
	})
	devices := []string{"a", "b", "c", "d"}
	for _, d := range devices {
		w.login(d, wire.Binding{Product: "demo", Tags: []string{"t"}})
	}
	// The register restarts empty and fails at first.
	w.reg.set(func(f *fakeRegister) {
		f.sessions, f.puts, f.refilled = map[string]*api.Session{}, nil, nil
		f.fail = code.Errorf(code.NotReady, "warming")
	})
	all := w.views.View().All()
	for i := range all {
		if all[i].Kind == cluster.Register {
			all[i].Epoch = 2
		}
	}
	w.views.Set(cluster.NewView(2, all))
	w.reg.set(func(f *fakeRegister) { f.fail = nil })
	eventually(t, "it was refilled", func() bool {
		w.reg.mu.Lock()
		defer w.reg.mu.Unlock()
		return len(w.reg.refilled) == 1
	})
	w.reg.set(func(f *fakeRegister) {
		req := f.refilled[0]
		if req.Room != "room-1" || req.RoomEpoch != 7 || req.Register != "register-1" || req.RegisterEpoch != 2 || req.ViewRevision != 2 || len(req.Slots) != slot.Count {
			t.Errorf("%v", req)
		}
		for _, d := range devices {
			if s := f.sessions[d]; s == nil || len(s.Bindings) != 1 || len(s.Bindings[0].Tags) != 1 {
				t.Errorf("%s: %v", d, s)
			}
		}
		for _, p := range f.puts {
			if !p.Refill {
				t.Errorf("not marked as refill: %v", p)
			}
		}
	})
	// A view that changes nothing for registers costs nothing.
	w.views.Set(cluster.NewView(3, append(all, cluster.Instance{Kind: cluster.Center, ID: "center-1"})))
	w.login("e").ping()
	w.reg.set(func(f *fakeRegister) {
		if len(f.refilled) != 1 {
			t.Errorf("refilled %d times", len(f.refilled))
		}
	})
}
