package room

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"longlink/pkg/code"
	"longlink/pkg/token"
	"longlink/pkg/wire"
)

// TestBadInput: what a stranger or a broken device sends costs its own
// connection, with a named code, and nothing else.
func TestBadInput(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.HelloTimeout = ms(60) })
	good := w.login("good", wire.Binding{Product: "demo"})
	hello := func(change func(h *wire.Hello)) []byte {
		h := &wire.Hello{Version: wire.Version, Device: "dev", Token: w.token("dev", "demo"), Bindings: []wire.Binding{{Product: "demo"}}}
		change(h)
		return wire.AppendHello(nil, h)
	}
	expired, err := token.Sign(w.dir.secrets.TokenSecrets[0], token.Device{Device: "dev", Expires: time.Now().Add(-time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	forged, err := token.Sign(token.NewSecret(), token.Device{Device: "dev", Expires: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	tooMany := make([]wire.Binding, wire.MaxBindings+1)
	for i := range tooMany {
		tooMany[i].Product = "demo"
	}
	for _, c := range []struct {
		name string
		send []byte
		want code.Code
	}{
		{"silence", nil, code.HelloTimeout},
		{"half a head", []byte{byte(wire.TypeHello)}, code.HelloTimeout},
		{"half a frame and silence", hello(func(*wire.Hello) {})[:40], code.HelloTimeout},
		{"garbage", []byte("GET / HTTP/1.1\r\nHost: room\r\n\r\n"), code.ProtocolError},
		{"PING first", wire.PingFrame, code.ProtocolError},
		{"a length without end", []byte{byte(wire.TypeHello), 0xff, 0xff, 0xff, 0xff}, code.FrameTooLarge},
		{"oversize HELLO", []byte{byte(wire.TypeHello), 0x81, 0x80, 0x02}, code.FrameTooLarge},
		{"empty HELLO", []byte{byte(wire.TypeHello), 0}, code.Malformed},
		{"broken HELLO", []byte{byte(wire.TypeHello), 7, 1, 0, 0, 0, 0, 1, 200}, code.Malformed},
		{"version 0", hello(func(h *wire.Hello) { h.Version = 0 }), code.VersionUnsupported},
		{"no token", hello(func(h *wire.Hello) { h.Token = "" }), code.TokenInvalid},
		{"not a token", hello(func(h *wire.Hello) { h.Token = "x.y.z" }), code.TokenInvalid},
		{"forged token", hello(func(h *wire.Hello) { h.Token = forged }), code.TokenInvalid},
		{"expired token", hello(func(h *wire.Hello) { h.Token = expired }), code.TokenExpired},
		{"another device's token", hello(func(h *wire.Hello) { h.Device = "other" }), code.TokenWrongDevice},
		{"too many products", hello(func(h *wire.Hello) { h.Bindings = tooMany }), code.TooManyBindings},
		{"HELLO twice at once", append(hello(func(*wire.Hello) {}), hello(func(*wire.Hello) {})...), code.ProtocolError},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := w.dial()
			d.t = t
			d.send(c.send)
			d.bye(c.want)
		})
	}
	good.ping()
	eventually(t, "one connection is left", func() bool { return w.room.connections.Load() == 1 })
}

func TestBadInputAfterLogin(t *testing.T) {
	w := newWorld(t, nil)
	for _, c := range []struct {
		name string
		send []byte
		want code.Code
	}{
		{"HELLO again", wire.AppendHello(nil, &wire.Hello{Version: 1, Device: "dev"}), code.ProtocolError},
		{"a room's frame", wire.AppendWelcome(nil, &wire.Welcome{}), code.ProtocolError},
		{"oversize frame", []byte{byte(wire.TypeUp), 0x81, 0x80, 0x05}, code.FrameTooLarge},
		{"broken ACK", []byte{byte(wire.TypeAck), 3, 0, 4, 'd'}, code.Malformed},
		{"broken UP", []byte{byte(wire.TypeUp), 1, 0}, code.Malformed},
		{"broken BIND", []byte{byte(wire.TypeBind), 0}, code.Malformed},
		{"broken UNBIND", []byte{byte(wire.TypeUnbind), 2, 1, 9}, code.Malformed},
		{"broken BYE", []byte{byte(wire.TypeBye), 1, 0}, code.Malformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := w.login("dev", wire.Binding{Product: "demo"})
			d.t = t
			d.send([]byte{0x7f, 3, 1, 2, 3}) // unknown frames are skipped
			d.ping()
			d.send(c.send)
			d.bye(c.want)
			eventually(t, "unregistered", func() bool { return w.reg.session("dev") == nil })
		})
	}
}

// TestProductsAreJudgedOneByOne: a refused product has its own BOUND and costs
// neither the login nor the other products.
func TestProductsAreJudgedOneByOne(t *testing.T) {
	w := newWorld(t, nil)
	grant := func(product, device string, valid time.Duration) string {
		g, err := token.SignGrant(w.dir.products[product].GrantSecrets[0], product, device, time.Now().Add(valid))
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	d := w.dial()
	d.send(wire.AppendHello(nil, &wire.Hello{Version: 9, Features: ^wire.Features(0), Device: "dev", Token: w.token("dev", "demo", "ghost"), Bindings: []wire.Binding{
		{Product: "demo"}, {Product: "ghost"}, {Product: "news"}, {Product: "chat", Grant: grant("chat", "other", time.Hour)}, {Product: "demo"},
	}}))
	if m := d.welcome(); m.Version != wire.Version || m.Features != supported {
		t.Errorf("WELCOME %+v", m)
	}
	d.bound("ghost", code.UnknownProduct)
	d.bound("news", code.ProductNotGranted)
	d.bound("chat", code.TokenWrongDevice)
	d.bound("demo", code.OK)

	for _, c := range []struct {
		b    wire.Binding
		want code.Code
	}{
		{wire.Binding{Product: "chat", Grant: grant("chat", "dev", -time.Hour)}, code.TokenExpired},
		{wire.Binding{Product: "chat", Grant: grant("news", "dev", time.Hour)}, code.TokenInvalid},
		{wire.Binding{Product: "chat", Grant: grant("chat", "dev", time.Hour), Tags: []string{"no space"}}, code.InvalidArgument},
		{wire.Binding{Product: "chat", Grant: grant("chat", "dev", time.Hour), Tags: []string{"vip"}}, code.OK},
		{wire.Binding{Product: "chat", Tags: []string{"gold"}}, code.OK},
		{wire.Binding{Product: "news"}, code.ProductNotGranted},
		{wire.Binding{Product: "nowhere"}, code.UnknownProduct},
	} {
		d.send(wire.AppendBind(nil, &c.b))
		d.bound(c.b.Product, c.want)
	}
	eventually(t, "register knows the tags", func() bool {
		s := w.reg.session("dev")
		return len(s.Bindings) == 2 && s.Bindings[1].Product == "chat" && len(s.Bindings[1].Tags) == 1 && s.Bindings[1].Tags[0] == "gold"
	})
	d.send(wire.AppendUnbind(nil, "demo"))
	d.bound("demo", code.Unbound)
	d.send(wire.AppendUnbind(nil, "demo"))
	d.bound("demo", code.Unbound)
	d.send(wire.AppendBind(nil, &wire.Binding{Product: "demo"})) // the token still names it
	d.bound("demo", code.OK)
	d.send(wire.AppendUnbind(nil, "chat"))
	d.bound("chat", code.Unbound)
	d.send(wire.AppendBind(nil, &wire.Binding{Product: "chat"})) // a grant counts once
	d.bound("chat", code.ProductNotGranted)
	eventually(t, "register knows the unbind", func() bool {
		s := w.reg.session("dev")
		return len(s.Bindings) == 1 && s.Bindings[0].Product == "demo"
	})
}

func TestProductLimit(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.MaxHello = 64 << 10 })
	var all []wire.Binding
	for i := range wire.MaxBindings + 1 {
		p := fmt.Sprintf("product-%d", i)
		all = append(all, wire.Binding{Product: p})
	}
	last := all[wire.MaxBindings].Product
	d := w.dial()
	names := make([]string, len(all))
	for i, b := range all {
		names[i] = b.Product
	}
	d.send(wire.AppendHello(nil, &wire.Hello{Version: 1, Device: "dev", Token: w.token("dev", names...), Bindings: all[:wire.MaxBindings]}))
	d.welcome()
	for range wire.MaxBindings {
		d.expect(wire.TypeBound)
	}
	d.send(wire.AppendBind(nil, &wire.Binding{Product: last}))
	d.bound(last, code.TooManyBindings)
	// Two places are free, and more BINDs come than are checked at a time.
	d.send(wire.AppendUnbind(nil, names[0]))
	d.send(wire.AppendUnbind(nil, names[1]))
	d.bound(names[0], code.Unbound)
	d.bound(names[1], code.Unbound)
	var binds []byte
	for range 4 * maxBinds {
		binds = wire.AppendBind(binds, &wire.Binding{Product: last})
	}
	d.send(binds)
	for bound := false; !bound; {
		m, err := wire.ParseBound(d.expect(wire.TypeBound))
		if err != nil || m.Product != last || m.Code != code.OK && m.Code != code.Busy {
			t.Fatalf("%+v %v", m, err)
		}
		bound = m.Code == code.OK
	}
	eventually(t, "register knows", func() bool { return len(w.reg.session("dev").Bindings) == wire.MaxBindings-1 })
}

func TestLargeFramesInPieces(t *testing.T) {
	w := newWorld(t, nil)
	d := w.login("dev", wire.Binding{Product: "demo"})
	up := func(id uint64) []byte {
		return wire.AppendUp(nil, &wire.Up{UpID: id, Product: []byte("demo"), Kind: []byte("k"), Payload: make([]byte, 70<<10)})
	}
	stream := append(append(append(append([]byte{}, wire.PingFrame...), up(1)...), wire.PingFrame...), up(2)...)
	go func() {
		for len(stream) > 0 {
			n := min(len(stream), 9_999)
			if _, err := d.Write(stream[:n]); err != nil {
				return
			}
			stream = stream[n:]
		}
	}()
	for id := uint64(1); id <= 2; id++ {
		d.expect(wire.TypePong)
		if m, err := wire.ParseUpAck(d.expect(wire.TypeUpAck)); err != nil || m.UpID != id {
			t.Fatalf("%+v %v", m, err)
		}
	}
	d.ping()
}

func TestServerFullAndListenErrors(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.MaxConnections = 2 })
	a, b := w.login("a"), w.login("b")
	full := w.dial()
	full.hello(w, "c")
	if bye := full.bye(code.ServerFull); bye.RetryMS == 0 {
		t.Error("no hint")
	}
	a.ping()
	b.ping()
	_ = a.Close()
	eventually(t, "a place is free", func() bool { return w.room.connections.Load() == 1 })
	w.login("c").ping()

	taken := &Room{cfg: Config{Listen: []string{w.room.Addresses()[0]}}}
	if err := taken.Listen(); err == nil || !strings.Contains(err.Error(), "room.listen") || !strings.Contains(err.Error(), w.room.Addresses()[0]) {
		t.Errorf("taken address: %v", err)
	}
	taken.cfg.Listen = nil
	if err := taken.Listen(); err == nil || !strings.Contains(err.Error(), "room.listen") {
		t.Errorf("no address: %v", err)
	}
	if n := capacity(0); n < 1 || n > 10_000_000 {
		t.Errorf("capacity %d", n)
	}
	if f := w.room.Figures(); f["capacity"] != 2 || f["sessions"] != 2 {
		t.Errorf("figures %v", f)
	}
	if err := w.room.Check(t.Context()); err != nil {
		t.Errorf("check: %v", err)
	}
	if c, err := net.Dial("tcp", w.room.Addresses()[1]); err != nil {
		t.Error(err)
	} else {
		_ = c.Close()
	}
}
