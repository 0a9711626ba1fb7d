package room

import (
	"slices"
	"testing"
	"time"

	"longlink/pkg/api"
	"longlink/pkg/cluster"
	"longlink/pkg/code"
	"longlink/pkg/wire"
)

// TestUpsOfABrokenConnection: what waits is forgotten, what is on its way ends
// unseen, and the device that sends both again finds each stored once.
func TestUpsOfABrokenConnection(t *testing.T) {
	w := newWorld(t, nil)
	d := w.login("dev", wire.Binding{Product: "demo"})
	release := w.coord.hold()
	d.send(ups("demo", wire.FlagFirst, 1, 2, 3))
	eventually(t, "1 is on its way", func() bool { return w.coord.count() == 1 })
	d.ping()
	_ = d.Close()
	eventually(t, "only that one is held", func() bool {
		return w.room.sessions.Load() == 0 && w.metric("longlink_room_upstream_bytes") == float64(upOverhead+len("up 1"))
	})
	release()
	w.nothingUp("dev")
	again := w.login("dev", wire.Binding{Product: "demo"})
	again.send(ups("demo", wire.FlagFirst, 1, 2, 3))
	again.upAcks(code.OK, 1, 2, 3)
	if got := w.coord.ids("dev", "demo"); !slices.Equal(got, []uint64{1, 2, 3}) {
		t.Errorf("log: %v", got)
	}
}

// TestUnbindEndsTheWaitingUps, those on their way get their answer.
func TestUnbindEndsTheWaitingUps(t *testing.T) {
	w := newWorld(t, nil)
	d := w.login("dev", wire.Binding{Product: "demo"})
	release := w.coord.hold()
	d.send(ups("demo", wire.FlagFirst, 1, 2, 3))
	d.send(wire.AppendUnbind(nil, "demo"))
	d.upAcks(code.Unbound, 2, 3)
	d.bound("demo", code.Unbound)
	d.send(up("demo", 4, 0))
	d.upAck(4, code.Unbound)
	d.send(wire.AppendBind(nil, &wire.Binding{Product: "demo"}))
	d.bound("demo", code.OK)
	d.send(ups("demo", wire.FlagFirst, 5, 6)) // behind 1, which is still on its way
	d.ping()
	eventually(t, "1 is on its way", func() bool { return w.coord.count() > 0 })
	if n := w.coord.count(); n != 1 {
		t.Errorf("%d are on their way", n)
	}
	release()
	d.upAcks(code.OK, 1, 5, 6)
	w.nothingUp("dev")

	// Refused after the product was taken off: nothing remembers that.
	release = w.coord.hold()
	w.coord.set(func(f *fakeCoordinator) {
		f.judge = func(*api.UpItem) *code.Error { return code.Errorf(code.Unavailable, "away") }
	})
	d.send(up("demo", 7, wire.FlagFirst))
	d.send(wire.AppendUnbind(nil, "demo"))
	d.bound("demo", code.Unbound)
	release()
	d.upAck(7, code.Unavailable)
	w.nothingUp("dev")

	// Refused before it: the next binding begins anew.
	d.send(wire.AppendBind(nil, &wire.Binding{Product: "demo"}))
	d.bound("demo", code.OK)
	d.send(up("demo", 8, wire.FlagFirst))
	d.upAck(8, code.Unavailable)
	d.send(wire.AppendUnbind(nil, "demo"))
	d.bound("demo", code.Unbound)
	w.nothingUp("dev")
	w.coord.set(func(f *fakeCoordinator) { f.judge = nil })
	d.send(wire.AppendBind(nil, &wire.Binding{Product: "demo"}))
	d.bound("demo", code.OK)
	d.send(up("demo", 9, 0))
	d.upAck(9, code.OK)
}

// TestUpsOfADeletedProduct: the coordinator may hear of it first, or last.
func TestUpsOfADeletedProduct(t *testing.T) {
	w := newWorld(t, nil)
	d := w.login("dev", wire.Binding{Product: "demo"}, wire.Binding{Product: "news"})
	w.coord.set(func(f *fakeCoordinator) {
		f.judge = func(it *api.UpItem) *code.Error {
			return code.Errorf(code.UnknownProduct, "there is no product %q", it.Product)
		}
	})
	d.send(up("demo", 1, wire.FlagFirst)) // the room knows it: so it is new
	d.upAck(1, code.Unavailable)
	release := w.coord.hold()
	d.send(ups("news", wire.FlagFirst, 2, 3))
	eventually(t, "2 is on its way", func() bool { return w.coord.count() == 2 })
	d.ping()
	w.dir.remove("news")
	d.upAck(3, code.Unbound)
	d.bound("news", code.UnknownProduct)
	release()
	d.upAck(2, code.UnknownProduct)
	d.ping()
}

// TestUpIsAnsweredWithoutCoordinator: one that hangs, and none at all.
func TestUpIsAnsweredWithoutCoordinator(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.CallTimeout = ms(150) })
	d, other := w.login("dev", wire.Binding{Product: "demo"}), w.login("other", wire.Binding{Product: "demo"})
	release := w.coord.hold()
	defer release()
	d.send(ups("demo", wire.FlagFirst, 1, 2))
	eventually(t, "1 is on its way", func() bool { return w.coord.count() > 0 })
	other.ping()
	if m := d.upAck(1, code.Unavailable); m.RetryMS < 1000 || m.RetryMS > 2000 {
		t.Errorf("hint %d ms", m.RetryMS)
	}
	d.upAck(2, code.Unavailable)
	release()
	with := w.views.View().All()
	without := slices.DeleteFunc(slices.Clone(with), func(i cluster.Instance) bool { return i.Kind == cluster.Coordinator })
	w.views.Set(cluster.NewView(2, without))
	d.send(ups("demo", 0, 1, 2))
	d.upAcks(code.Unavailable, 1, 2)
	w.views.Set(cluster.NewView(3, with))
	for stored := false; !stored; { // the stream that was cut rests a moment
		d.send(ups("demo", 0, 1, 2))
		first, err := wire.ParseUpAck(d.expect(wire.TypeUpAck))
		if err != nil || first.UpID != 1 {
			t.Fatalf("%+v %v", first, err)
		}
		stored = first.Code == code.OK
		d.upAck(2, first.Code)
	}
	if got := w.coord.ids("dev", "demo"); !slices.Equal(got, []uint64{1, 2}) {
		t.Errorf("log: %v", got)
	}
	w.nothingUp("dev")
}

// TestStopWithUps: what is on its way is awaited for a moment, what waits is
// left to the device's next connection.
func TestStopWithUps(t *testing.T) {
	w := newWorld(t, nil)
	d := w.login("dev", wire.Binding{Product: "demo"})
	release := w.coord.hold()
	defer release()
	d.send(ups("demo", wire.FlagFirst, 1, 2))
	eventually(t, "1 is on its way", func() bool { return w.coord.count() == 1 })
	d.ping()
	go d.frameUntilEnd()
	began := time.Now()
	w.stop()
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("took %v", took)
	}
	release()
	eventually(t, "all bytes are given back", func() bool { return w.metric("longlink_room_upstream_bytes") == 0 })
}
