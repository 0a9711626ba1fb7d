package room

import (
	"slices"
	"testing"

	"longlink/pkg/code"
	"longlink/pkg/wire"
)

func TestUpsUnansweredAreBounded(t *testing.T) {
	w := newWorld(t, nil)
	d := w.login("dev", wire.Binding{Product: "demo"}, wire.Binding{Product: "news"})
	release := w.coord.hold()
	d.send(ups("demo", wire.FlagFirst, numbers(1, 66)...))
	d.upAcks(code.RateLimited, 65, 66)
	d.send(up("news", 67, wire.FlagFirst)) // one limit for all products
	if m := d.upAck(67, code.RateLimited); m.RetryMS < 1000 || m.RetryMS > 2000 {
		t.Errorf("hint %d ms", m.RetryMS)
	}
	release()
	d.upAcks(code.OK, numbers(1, 64)...)
	d.send(up("demo", 66, 0)) // 65 must come before
	d.upAck(66, code.RateLimited)
	d.send(append(ups("demo", 0, 65, 66), up("news", 67, 0)...))
	for range 3 {
		if m, err := wire.ParseUpAck(d.expect(wire.TypeUpAck)); err != nil || m.Code != code.OK {
			t.Errorf("%+v %v", m, err)
		}
	}
	if got := w.coord.ids("dev", "demo"); !slices.Equal(got, numbers(1, 66)) {
		t.Errorf("log: %v", got)
	}
	w.nothingUp("dev")
}

func TestUpBytesAreBounded(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Upstream.MaxBytes, c.Upstream.TotalBytes = 128<<10, 250<<10 })
	large := func(product string, id uint64) []byte {
		return wire.AppendUp(nil, &wire.Up{UpID: id, Product: []byte(product), Kind: []byte("k"), Payload: make([]byte, 60<<10)})
	}
	a, b, c := w.login("a", wire.Binding{Product: "demo"}), w.login("b", wire.Binding{Product: "demo"}), w.login("c", wire.Binding{Product: "demo"})
	release := w.coord.hold()
	a.send(append(append(large("demo", 1), large("demo", 2)...), large("demo", 3)...))
	a.upAck(3, code.RateLimited) // the connection's bytes
	if n := w.metric("longlink_room_upstream_bytes"); n != 2*(60<<10+upOverhead) {
		t.Errorf("%v bytes are held", n)
	}
	b.send(append(large("demo", 1), large("demo", 2)...))
	b.ping()
	c.send(large("demo", 1))
	c.upAck(1, code.RateLimited) // the room's
	c.send(up("demo", 2, wire.FlagFirst))
	release()
	a.upAcks(code.OK, 1, 2)
	b.upAcks(code.OK, 1, 2)
	c.upAck(2, code.OK)
	a.send(large("demo", 3))
	a.upAck(3, code.OK)
	w.nothingUp("a")
	w.nothingUp("b")
	w.nothingUp("c")
}

// TestUpBucket: a burst, then the rate; what was refused costs nothing.
func TestUpBucket(t *testing.T) {
	u := &upstream{}
	const rate, burst = 1000, 4000 // bytes a second, bytes
	for range 4 {
		if wait := u.spend(1000, rate, burst, 0); wait != 0 {
			t.Fatalf("within the burst: %d ms", wait)
		}
	}
	for range 2 {
		if wait := u.spend(500, rate, burst, 0); wait != 500 {
			t.Errorf("behind the burst: %d ms", wait)
		}
	}
	if wait := u.spend(500, rate, burst, 500); wait != 0 {
		t.Errorf("after the wait: %d ms", wait)
	}
	if u.tidy(4499) || !u.tidy(4500) {
		t.Error("the bucket is full after 4.5 s and not before")
	}
	if wait := u.spend(burst, rate, burst, 10_000); wait != 0 {
		t.Errorf("full again: %d ms", wait)
	}
}

// TestUpRate: a device that sends more than its rate is refused, in order, with
// a hint, and goes on by it; another one is not touched.
func TestUpRate(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Upstream.PerSecond, c.Upstream.MaxBytes = 40<<10, 80<<10 })
	d, other := w.login("dev", wire.Binding{Product: "demo"}), w.login("other", wire.Binding{Product: "demo"})
	big := func(id uint64, flags uint8) []byte {
		return wire.AppendUp(nil, &wire.Up{Flags: flags, UpID: id, Product: []byte("demo"), Kind: []byte("k"), Payload: make([]byte, 60<<10)})
	}
	d.send(big(1, wire.FlagFirst))
	d.upAck(1, code.OK)
	d.send(big(2, wire.FlagFirst))
	m, err := wire.ParseUpAck(d.expect(wire.TypeUpAck))
	if err != nil || m.UpID != 2 || m.Code != code.RateLimited || m.RetryMS == 0 || m.RetryMS > 2100 {
		t.Fatalf("%+v %v", m, err)
	}
	d.send(up("demo", 3, 0)) // would fit, and would overtake
	d.upAck(3, code.RateLimited)
	other.send(big(1, wire.FlagFirst))
	other.upAck(1, code.OK)
	taken := func(frame []byte) {
		t.Helper()
		eventually(t, "it is taken", func() bool {
			d.send(frame)
			m, err := wire.ParseUpAck(d.expect(wire.TypeUpAck))
			return err == nil && m.Code == code.OK
		})
	}
	taken(big(2, wire.FlagFirst))
	taken(up("demo", 3, wire.FlagFirst))
	if got := w.coord.ids("dev", "demo"); !slices.Equal(got, []uint64{1, 2, 3}) {
		t.Errorf("log: %v", got)
	}
}
