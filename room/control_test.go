package room

import (
	"testing"

	"longlink/pkg/api"
	"longlink/pkg/code"
	"longlink/pkg/wire"
)

func TestKickEvictInspect(t *testing.T) {
	w := newWorld(t, nil)
	a := w.login("a", wire.Binding{Product: "demo"}, wire.Binding{Product: "news"})
	b := w.login("b", wire.Binding{Product: "demo"})

	kicked, err := w.client.KickLocal(t.Context(), &api.KickRequest{Devices: []string{"a", "nobody", "b"}, Product: "news", Message: "gone"})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []code.Code{code.OK, code.Offline, code.Offline} {
		if got := code.Code(kicked.Results[i].GetResult().GetCode()); got != want {
			t.Errorf("kick %d: %s, want %s", i, got, want)
		}
	}
	a.bound("news", code.Unbound)
	a.ping() // the connection and the other product stay
	eventually(t, "register knows", func() bool { return len(w.reg.session("a").Bindings) == 1 })
	if state, _ := w.hand("a", "news", w.saver.append("a", "news", &api.Message{})); state != api.DeliverResult_STATE_UNBOUND {
		t.Errorf("delivered to an unbound product: %v", state)
	}

	seen, err := w.client.Inspect(t.Context(), &api.InspectRequest{Devices: []string{"a", "nobody"}})
	if err != nil {
		t.Fatal(err)
	}
	if r := seen.Results[0]; r.State != api.InspectResult_STATE_ONLINE || r.Epoch == 0 || len(r.Lanes) != 1 || r.Lanes[0].Product != "demo" || r.Lanes[0].Sent == 0 || r.Lanes[0].Loading || r.HeardMsAgo < 0 || r.HeardMsAgo > 5000 {
		t.Errorf("inspect: %v", r)
	}
	if r := seen.Results[1]; r.State != api.InspectResult_STATE_OFFLINE {
		t.Errorf("inspect nobody: %v", r)
	}

	if _, err := w.client.KickLocal(t.Context(), &api.KickRequest{Devices: []string{"a"}, Message: "bye", RetryMs: 1234}); err != nil {
		t.Fatal(err)
	}
	if m := a.bye(code.Kicked); m.RetryMS != 1234 || m.Message != "bye" {
		t.Errorf("%+v", m)
	}
	if _, err := w.client.KickLocal(t.Context(), &api.KickRequest{Devices: []string{"b"}, Code: uint32(code.InboxFull)}); err == nil {
		t.Error("a code that no device knows was taken")
	}

	epoch := w.reg.session("b").Epoch
	for _, e := range []uint64{epoch - 1, epoch} {
		if _, err := w.client.Evict(t.Context(), &api.EvictRequest{Items: []*api.EvictItem{{Device: "b", Epoch: e}, {Device: "nobody", Epoch: e}}}); err != nil {
			t.Fatal(err)
		}
		if e < epoch {
			b.ping()
		}
	}
	if m := b.bye(code.Replaced); m.RetryMS != code.Replaced.Row().RetryMS {
		t.Errorf("%+v", m)
	}
}

func TestNewerLoginReplaces(t *testing.T) {
	w := newWorld(t, nil)
	first := w.login("dev", wire.Binding{Product: "demo"})
	epoch := w.reg.session("dev").Epoch
	second := w.login("dev", wire.Binding{Product: "demo"})
	first.bye(code.Replaced)
	second.ping()
	eventually(t, "the old session's DELETE came", func() bool {
		w.reg.mu.Lock()
		defer w.reg.mu.Unlock()
		return len(w.reg.deletes) == 1
	})
	if s := w.reg.session("dev"); s == nil || s.Epoch <= epoch {
		t.Errorf("session %v after epoch %d", s, epoch)
	}
	old := &api.Session{Conn: 1, Epoch: epoch}
	current := w.reg.session("dev")
	w.reg.set(func(f *fakeRegister) { f.sessions["dev"] = old })
	if state, _ := w.hand("dev", "demo", w.saver.append("dev", "demo", &api.Message{})); state != api.DeliverResult_STATE_GONE {
		t.Errorf("delivered to an old epoch: %v", state)
	}
	w.reg.set(func(f *fakeRegister) { f.sessions["dev"] = current })

	// Register knows a winner in another room.
	w.reg.set(func(f *fakeRegister) {
		f.winner = &api.SessionResult{WinnerRoom: "room-2", WinnerEpoch: current.Epoch + 9}
	})
	third := w.dial()
	third.hello(w, "dev")
	second.bye(code.Replaced)
	third.welcome()
	third.bye(code.Replaced)
}

func TestEpochs(t *testing.T) {
	const now = 1_700_000_000_000
	for _, c := range []struct{ brought, want uint64 }{
		{0, now}, {5, now}, {now - 1, now}, {now, now + 1}, {now + 30_000, now + 30_001},
		{now + 60_000, now + 60_001}, {now + 90_000, now + 60_001}, {1 << 62, now + 60_001},
	} {
		if got := nextEpoch(now, c.brought); got != c.want {
			t.Errorf("brought %d: %d, want %d", c.brought, got, c.want)
		}
	}
}

func TestHeartbeat(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		c.Heartbeat = HeartbeatConfig{Min: ms(20), Cellular: ms(40), Wifi: ms(60), WifiMax: ms(100), Grace: ms(30)}
	})
	silent := w.login("silent", wire.Binding{Product: "demo"})
	silent.bye(code.HeartbeatTimeout)
	eventually(t, "unregistered", func() bool { return w.reg.session("silent") == nil })

	h := DefaultConfig().Heartbeat
	for _, c := range []struct {
		n              network
		wish           uint32
		ms, least, top uint32
	}{
		{wifi, 0, 300_000, 60_000, 480_000}, {wired, 400_000, 400_000, 60_000, 480_000}, {wifi, 900_000, 480_000, 60_000, 480_000},
		{cellular4g, 0, 300_000, 60_000, 300_000}, {cellular2g, 400_000, 300_000, 60_000, 300_000}, {unknownNetwork, 1, 60_000, 60_000, 300_000},
	} {
		if ms, least, top := h.interval(c.n, c.wish); ms != c.ms || least != c.least || top != c.top {
			t.Errorf("%s wishing %d: %d %d %d", c.n, c.wish, ms, least, top)
		}
	}
}

func TestNothingFollowsADevicesBye(t *testing.T) {
	w := newWorld(t, nil)
	d := w.login("dev", wire.Binding{Product: "demo"})
	d.send(wire.AppendBye(nil, &wire.Bye{}))
	if _, _, ok := d.frame(); ok {
		t.Error("a frame after the device's BYE")
	}
}
