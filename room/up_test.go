package room

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"longlink/pkg/api"
	"longlink/pkg/code"
	"longlink/pkg/wire"
)

// up is the frame of an UP with a short payload.
func up(product string, id uint64, flags uint8) []byte {
	return wire.AppendUp(nil, &wire.Up{Flags: flags, UpID: id, Product: []byte(product), Kind: []byte("read"), Payload: fmt.Appendf(nil, "up %d", id)})
}

// ups are the frames of several, the first with FlagFirst when that is asked for.
func ups(product string, flags uint8, ids ...uint64) (all []byte) {
	for i, id := range ids {
		f := flags
		if i > 0 {
			f = 0
		}
		all = append(all, up(product, id, f)...)
	}
	return all
}

// upAck reads the next frame, an UPACK of that up_id and code.
func (d *device) upAck(id uint64, c code.Code) wire.UpAck {
	d.t.Helper()
	m, err := wire.ParseUpAck(d.expect(wire.TypeUpAck))
	if err != nil {
		d.t.Fatal(err)
	}
	if m.UpID != id || m.Code != c {
		d.t.Fatalf("UPACK %d %s, want %d %s", m.UpID, m.Code, id, c)
	}
	return m
}

func (d *device) upAcks(c code.Code, ids ...uint64) {
	d.t.Helper()
	for _, id := range ids {
		d.upAck(id, c)
	}
}

// nothingUp polls until the room holds no upstream data, and the device none of
// its memory.
func (w *world) nothingUp(id string) {
	w.t.Helper()
	eventually(w.t, "all bytes are given back", func() bool { return w.metric("longlink_room_upstream_bytes") == 0 })
	c := w.room.devices.get(id)
	if c == nil {
		return
	}
	left := make(chan bool, 1)
	c.loop.post(taskFunc(func(*loop) { left <- c.ups != nil }))
	if <-left {
		w.t.Error("an idle connection keeps upstream state")
	}
}

func numbers(from, to uint64) (all []uint64) {
	for n := from; n <= to; n++ {
		all = append(all, n)
	}
	return all
}

func TestUpIsPassedOnAsItIs(t *testing.T) {
	w := newWorld(t, nil)
	d := w.dial()
	d.send(wire.AppendHello(nil, &wire.Hello{Version: 1, Features: wire.FeatureUpstream, Device: "dev", Token: w.token("dev", "demo"), Bindings: []wire.Binding{{Product: "demo"}}}))
	welcome := d.welcome()
	if welcome.Features != wire.FeatureUpstream {
		t.Errorf("features %b", welcome.Features)
	}
	d.bound("demo", code.OK)
	ext := wire.AppendData(nil, "k", "v")
	before := time.Now().UnixMilli()
	d.send(wire.AppendUp(nil, &wire.Up{Flags: 0xff, UpID: 77, Product: []byte("demo"), Kind: []byte("read"), Ext: ext, Payload: []byte("{}")}))
	d.upAck(77, code.OK)
	it := w.coord.stored()[0]
	if it.Device != "dev" || it.Product != "demo" || it.Kind != "read" || it.UpId != 77 || string(it.Payload) != "{}" || !slices.Equal(it.Ext, ext) ||
		it.Flags != wire.FlagText|wire.FlagJSON || it.Epoch != welcome.Session || it.ReceivedMs < before || it.ReceivedMs > time.Now().UnixMilli() || len(it.Meta.RequestId) != 26 {
		t.Errorf("passed on: %v", it)
	}
	if n := w.metric("longlink_room_upstream_total", "OK"); n != 1 {
		t.Errorf("%v are counted", n)
	}
	w.nothingUp("dev")
}

// TestUpOrder: whatever comes at once reaches the log in its order, one at a
// time, and products do not wait for each other.
func TestUpOrder(t *testing.T) {
	w := newWorld(t, nil)
	d := w.login("dev", wire.Binding{Product: "demo"}, wire.Binding{Product: "news"})
	release := w.coord.hold()
	d.send(append(ups("demo", wire.FlagFirst, numbers(1, 20)...), ups("news", wire.FlagFirst, numbers(21, 40)...)...))
	// Of each product one is on its way, in one batch or two of one worker.
	eventually(t, "the first is on its way", func() bool { return w.coord.count() >= 1 })
	d.send(append([]byte{0x7f, 0x80, 0x40}, make([]byte, 8192)...)) // an unknown frame passes over the buffer that they came in
	d.ping()                                                        // the loop is not held up
	if n := w.coord.count(); n > 2 {
		t.Errorf("%d are on their way", n)
	}
	release()
	var got []uint64
	for range 40 {
		m, err := wire.ParseUpAck(d.expect(wire.TypeUpAck))
		if err != nil || m.Code != code.OK {
			t.Fatalf("%+v %v", m, err)
		}
		got = append(got, m.UpID)
	}
	slices.Sort(got)
	if !slices.Equal(got, numbers(1, 40)) {
		t.Errorf("answered: %v", got)
	}
	for _, it := range w.coord.stored() {
		if want := fmt.Sprint("up ", it.UpId); string(it.Payload) != want {
			t.Errorf("payload %q of %d", it.Payload, it.UpId)
		}
	}
	if demo, news := w.coord.ids("dev", "demo"), w.coord.ids("dev", "news"); !slices.Equal(demo, numbers(1, 20)) || !slices.Equal(news, numbers(21, 40)) {
		t.Errorf("log: %v %v", demo, news)
	}
	w.nothingUp("dev")
}

// TestUpRefusalHoldsTheOrder: behind a refused one everything of its product is
// refused until it comes again; other products go on.
func TestUpRefusalHoldsTheOrder(t *testing.T) {
	w := newWorld(t, nil)
	d := w.login("dev", wire.Binding{Product: "demo"}, wire.Binding{Product: "news"})
	full := func(it *api.UpItem) *code.Error {
		if it.UpId == 2 {
			return code.Errorf(code.Hold, "full").WithRetry(700 * time.Millisecond)
		}
		return nil
	}
	w.coord.set(func(f *fakeCoordinator) { f.judge = full })
	d.send(ups("demo", wire.FlagFirst, 1, 2, 3, 4))
	d.upAck(1, code.OK)
	first := d.upAck(2, code.Hold)
	if first.RetryMS < 700 || first.RetryMS > 1400 {
		t.Errorf("hint %d ms", first.RetryMS)
	}
	d.upAcks(code.Hold, 3, 4)
	d.send(ups("demo", 0, 5, 3))
	if m := d.upAck(5, code.Hold); m.RetryMS != first.RetryMS {
		t.Errorf("hint %d, want the same %d", m.RetryMS, first.RetryMS)
	}
	d.upAck(3, code.Hold)
	d.send(up("news", 6, wire.FlagFirst))
	d.upAck(6, code.OK)
	d.send(ups("demo", 0, 2, 3)) // refused once more, from the start
	d.upAcks(code.Hold, 2, 3)
	w.coord.set(func(f *fakeCoordinator) { f.judge = nil })
	d.send(ups("demo", 0, 2, 3, 4, 5, 7))
	d.upAcks(code.OK, 2, 3, 4, 5, 7)
	if got := w.coord.ids("dev", "demo"); !slices.Equal(got, []uint64{1, 2, 3, 4, 5, 7}) {
		t.Errorf("log: %v", got)
	}
	if n := w.metric("longlink_room_upstream_total", "HOLD"); n != 7 {
		t.Errorf("%v refusals are counted", n)
	}
	w.nothingUp("dev")
}

// TestUpFirstEndsTheRefusing: a device may give the refused one up.
func TestUpFirstEndsTheRefusing(t *testing.T) {
	w := newWorld(t, nil)
	d := w.login("dev", wire.Binding{Product: "demo"})
	w.coord.set(func(f *fakeCoordinator) {
		f.judge = func(it *api.UpItem) *code.Error {
			if it.UpId == 1 {
				return code.Errorf(code.Unavailable, "away")
			}
			return nil
		}
	})
	d.send(ups("demo", wire.FlagFirst, 1, 2, 3))
	d.upAcks(code.Unavailable, 1, 2, 3)
	d.send(ups("demo", 0, 3))
	d.upAck(3, code.Unavailable)
	d.send(ups("demo", wire.FlagFirst, 2, 3))
	d.upAcks(code.OK, 2, 3)
	// One that was given up while it was on its way may refuse what is behind it
	// although that says it is the first: it comes again.
	release := w.coord.hold()
	w.coord.set(func(f *fakeCoordinator) {
		f.judge = func(it *api.UpItem) *code.Error {
			if it.UpId == 4 {
				return code.Errorf(code.Unavailable, "away")
			}
			return nil
		}
	})
	d.send(append(up("demo", 4, wire.FlagFirst), ups("demo", wire.FlagFirst, 5, 6)...))
	eventually(t, "4 is on its way", func() bool { return w.coord.count() == 4 })
	d.ping()
	release()
	d.upAcks(code.Unavailable, 4, 5, 6)
	d.send(ups("demo", wire.FlagFirst, 5, 6))
	d.upAcks(code.OK, 5, 6)
	if got := w.coord.ids("dev", "demo"); !slices.Equal(got, []uint64{2, 3, 5, 6}) {
		t.Errorf("log: %v", got)
	}
	w.nothingUp("dev")
}

// TestUpFinalRefusalGoesOn: a code of 4000-4999 ends its UP alone.
func TestUpFinalRefusalGoesOn(t *testing.T) {
	w := newWorld(t, nil)
	d := w.login("dev", wire.Binding{Product: "demo"})
	w.coord.set(func(f *fakeCoordinator) {
		f.judge = func(it *api.UpItem) *code.Error {
			if it.UpId == 2 {
				return code.Invalid("kind", "not today")
			}
			return nil
		}
	})
	d.send(ups("demo", wire.FlagFirst, 1, 2, 3))
	d.upAck(1, code.OK)
	d.upAck(2, code.InvalidArgument)
	d.upAck(3, code.OK)
	if got := w.coord.ids("dev", "demo"); !slices.Equal(got, []uint64{1, 3}) {
		t.Errorf("log: %v", got)
	}
	w.nothingUp("dev")
}

// TestBadUps are answered each by itself, and cost nothing else.
func TestBadUps(t *testing.T) {
	w := newWorld(t, nil)
	d := w.login("dev", wire.Binding{Product: "demo"})
	for _, c := range []struct {
		name string
		up   wire.Up
		want code.Code
	}{
		{"a product that is not bound", wire.Up{UpID: 1, Product: []byte("news"), Kind: []byte("k")}, code.Unbound},
		{"a product of a name that nobody has", wire.Up{UpID: 2, Product: []byte{0xff, 0}, Kind: []byte("k")}, code.Unbound},
		{"up_id 0", wire.Up{UpID: 0, Product: []byte("demo"), Kind: []byte("k")}, code.InvalidArgument},
		{"up_id 2^63", wire.Up{UpID: 1 << 63, Product: []byte("demo"), Kind: []byte("k")}, code.InvalidArgument},
		{"kind with a blank", wire.Up{UpID: 3, Product: []byte("demo"), Kind: []byte("k k")}, code.InvalidArgument},
		{"kind that is no UTF-8", wire.Up{UpID: 4, Product: []byte("demo"), Kind: []byte{0xff}}, code.InvalidArgument},
		{"payload", wire.Up{UpID: 5, Product: []byte("demo"), Kind: []byte("k"), Payload: make([]byte, wire.MaxUpPayload+1)}, code.PayloadTooLarge},
		{"ext", wire.Up{UpID: 6, Product: []byte("demo"), Kind: []byte("k"), Ext: make([]byte, wire.MaxUpExt+1)}, code.PayloadTooLarge},
		{"the largest", wire.Up{UpID: 7, Product: []byte("demo"), Kind: []byte("k"), Ext: make([]byte, wire.MaxUpExt), Payload: make([]byte, wire.MaxUpPayload)}, code.OK},
	} {
		d.send(wire.AppendUp(nil, &c.up))
		m, err := wire.ParseUpAck(d.expect(wire.TypeUpAck))
		if err != nil || m.UpID != c.up.UpID || m.Code != c.want {
			t.Errorf("%s: %+v %v, want %s", c.name, m, err, c.want)
		}
	}
	if n := w.coord.count(); n != 1 {
		t.Errorf("%d were passed on", n)
	}
	w.nothingUp("dev")
}

// TestUpAnswersAreWords of the wire, whatever a coordinator says, and ask for
// what the code asks for.
func TestUpAnswersAreWords(t *testing.T) {
	for n := range code.Code(7000) {
		a := answerOf(&code.Error{Code: n})
		if !a.code.Row().Wire || a.code == code.OK {
			t.Fatalf("%d becomes %s", n, a.code)
		}
		if was, is := n.Action() == code.Never, !a.again(); was != is {
			t.Errorf("%s becomes %s", n, a.code)
		}
		if least := a.code.Row().RetryMS; a.code.Action() == code.RetryAfter && (a.retryMS < least || a.retryMS > 2*least) {
			t.Errorf("%s has the hint %d", a.code, a.retryMS)
		}
	}
	if a := answerOf(&code.Error{Code: code.Hold, Retry: 1000 * time.Hour}); a.retryMS > 2*maxUpRetryMS {
		t.Errorf("a hint of %d ms", a.retryMS)
	}
}
