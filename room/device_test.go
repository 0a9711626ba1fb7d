package room

import (
	"bufio"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"longlink/pkg/code"
	"longlink/pkg/wire"
)

// device is a raw client: it writes frames and reads them.
type device struct {
	t testing.TB
	net.Conn
	r *bufio.Reader
}

func newDevice(t testing.TB, c net.Conn) *device {
	return &device{t: t, Conn: c, r: bufio.NewReader(c)}
}

func (w *world) dial() *device {
	w.t.Helper()
	c, err := net.Dial("tcp", w.room.Addresses()[0])
	if err != nil {
		w.t.Fatal(err)
	}
	d := newDevice(w.t, c)
	w.t.Cleanup(func() { _ = c.Close() })
	return d
}

func (d *device) send(b []byte) {
	d.t.Helper()
	if _, err := d.Write(b); err != nil {
		d.t.Fatal(err)
	}
}

// frame reads the next frame; ok is false at the end of the stream.
func (d *device) frame() (t wire.Type, body []byte, ok bool) {
	d.t.Helper()
	_ = d.SetReadDeadline(time.Now().Add(10 * time.Second))
	for n := 2; ; n++ {
		head, err := d.r.Peek(n)
		if errors.Is(err, io.EOF) {
			return 0, nil, false
		}
		if err != nil {
			d.t.Fatalf("read: %v", err)
		}
		t, size, hn, cerr := wire.Header(head, wire.MaxBody)
		if cerr != nil {
			d.t.Fatal(cerr)
		}
		if hn == 0 {
			continue
		}
		_, _ = d.r.Discard(hn)
		body = make([]byte, size)
		if _, err := io.ReadFull(d.r, body); err != nil {
			d.t.Fatalf("read: %v", err)
		}
		return t, body, true
	}
}

// expect reads the next frame, which must be of the type.
func (d *device) expect(want wire.Type) []byte {
	d.t.Helper()
	t, body, ok := d.frame()
	if !ok {
		d.t.Fatalf("the stream ended, want %s", want)
	}
	if t != want {
		if t == wire.TypeBye {
			bye, _ := wire.ParseBye(body)
			d.t.Fatalf("got BYE %s %s, want %s", bye.Code, bye.Message, want)
		}
		d.t.Fatalf("got %s, want %s", t, want)
	}
	return body
}

func (d *device) welcome() wire.Welcome {
	d.t.Helper()
	m, err := wire.ParseWelcome(d.expect(wire.TypeWelcome))
	if err != nil {
		d.t.Fatal(err)
	}
	return m
}

func (d *device) bound(product string, c code.Code) wire.Bound {
	d.t.Helper()
	m, err := wire.ParseBound(d.expect(wire.TypeBound))
	if err != nil {
		d.t.Fatal(err)
	}
	if m.Product != product || m.Code != c {
		d.t.Fatalf("BOUND %s %s %s, want %s %s", m.Product, m.Code, m.Message, product, c)
	}
	return m
}

func (d *device) push() wire.Push {
	d.t.Helper()
	m, err := wire.ParsePush(d.expect(wire.TypePush))
	if err != nil {
		d.t.Fatal(err)
	}
	return m
}

// bye reads BYE of the code and then the end of the stream.
func (d *device) bye(c code.Code) wire.Bye {
	d.t.Helper()
	m, err := wire.ParseBye(d.expect(wire.TypeBye))
	if err != nil {
		d.t.Fatal(err)
	}
	if m.Code != c {
		d.t.Fatalf("BYE %s %q, want %s", m.Code, m.Message, c)
	}
	if t, _, ok := d.frame(); ok {
		d.t.Fatalf("%s after BYE", t)
	}
	return m
}

func (d *device) ack(product string, seq uint64) {
	d.t.Helper()
	d.send(wire.AppendAck(nil, &wire.Ack{Product: []byte(product), Seq: seq}))
}

func (d *device) ping() {
	d.t.Helper()
	d.send(wire.PingFrame)
	d.expect(wire.TypePong)
}

// hello sends a HELLO with the device's good token.
func (d *device) hello(w *world, id string, bindings ...wire.Binding) {
	d.t.Helper()
	var products []string
	for _, b := range bindings {
		products = append(products, b.Product)
	}
	d.send(wire.AppendHello(nil, &wire.Hello{Version: wire.Version, Device: id, Token: w.token(id, products...), Bindings: bindings, Network: "wifi", Client: "test/1"}))
}

// login connects and waits until every product is bound.
func (w *world) login(id string, bindings ...wire.Binding) *device {
	w.t.Helper()
	d := w.dial()
	d.hello(w, id, bindings...)
	d.welcome()
	for range bindings {
		d.expect(wire.TypeBound)
	}
	return d
}
