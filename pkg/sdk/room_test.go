package sdk

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"longlink/pkg/code"
	"longlink/pkg/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// frame is one frame as the fake room got it.
type frame struct {
	t    wire.Type
	body []byte
}

// roomConn is the room's end of one connection, driven by the test.
type roomConn struct {
	t      testing.TB
	nc     net.Conn
	addr   string // that was dialed
	frames chan frame
}

// newRoomConn pumps frames, so that a test that does not read never blocks the
// device's writer.
func newRoomConn(t testing.TB, nc net.Conn, addr string) *roomConn {
	r := &roomConn{t: t, nc: nc, addr: addr, frames: make(chan frame, 4096)}
	go func() {
		defer close(r.frames)
		in := bufio.NewReader(nc)
		for {
			typ, n, end := header(in, wire.MaxBody)
			if end != nil {
				return
			}
			body := make([]byte, n)
			if _, err := io.ReadFull(in, body); err != nil {
				return
			}
			r.frames <- frame{typ, body}
		}
	}()
	return r
}

// next is the next frame; it fails the test after a minute of (bubble) time.
func (r *roomConn) next() frame {
	r.t.Helper()
	select {
	case f, ok := <-r.frames:
		if !ok {
			r.t.Fatal("the device closed the connection")
		}
		return f
	case <-time.After(20 * time.Minute):
		r.t.Fatal("no frame from the device")
	}
	panic("unreachable")
}

func (r *roomConn) expect(want wire.Type) frame {
	r.t.Helper()
	f := r.next()
	if f.t != want {
		r.t.Fatalf("got %s, want %s", f.t, want)
	}
	return f
}

func (r *roomConn) hello() wire.Hello {
	r.t.Helper()
	h, err := wire.ParseHello(r.expect(wire.TypeHello).body)
	if err != nil {
		r.t.Fatal(err)
	}
	return h
}

func (r *roomConn) ack() (seq uint64) {
	r.t.Helper()
	a, err := wire.ParseAck(r.expect(wire.TypeAck).body)
	if err != nil {
		r.t.Fatal(err)
	}
	return a.Seq
}

// ackUpTo takes ACKs until seq; it fails on one beyond it.
func (r *roomConn) ackUpTo(seq uint64) {
	r.t.Helper()
	for {
		got := r.ack()
		if got == seq {
			return
		}
		if got > seq {
			r.t.Fatalf("ACK %d, want %d", got, seq)
		}
	}
}

func (r *roomConn) bye() wire.Bye {
	r.t.Helper()
	b, err := wire.ParseBye(r.expect(wire.TypeBye).body)
	if err != nil {
		r.t.Fatal(err)
	}
	return b
}

func (r *roomConn) send(b []byte) {
	r.t.Helper()
	if _, err := r.nc.Write(b); err != nil {
		r.t.Fatalf("writing to the device: %v", err)
	}
}

// quiet fails when a frame comes within d.
func (r *roomConn) quiet(d time.Duration) {
	r.t.Helper()
	select {
	case f := <-r.frames:
		r.t.Fatalf("unexpected %s", f.t)
	case <-time.After(d):
	}
}

func (r *roomConn) close() { r.nc.Close() }

func (r *roomConn) welcome(w wire.Welcome) {
	r.t.Helper()
	if w.Version == 0 {
		w.Version = wire.Version
	}
	if w.Session == 0 {
		w.Session = 1
	}
	if w.Room == "" {
		w.Room = "room-1"
	}
	if w.Window == 0 {
		w.Window = 8
	}
	if w.HeartbeatMS == 0 {
		w.HeartbeatMS = 240_000
	}
	r.send(wire.AppendWelcome(nil, &w))
}

func (r *roomConn) bound(product string, cursor uint64) {
	r.t.Helper()
	r.send(wire.AppendBound(nil, &wire.Bound{Product: product, Cursor: cursor}))
}

func (r *roomConn) push(product string, seqs ...uint64) {
	r.t.Helper()
	var b []byte
	for _, seq := range seqs {
		b = wire.AppendPush(b, &wire.Push{Flags: wire.FlagText, Product: []byte(product), Seq: seq, ID: []byte("id"), Payload: []byte("hi")})
	}
	r.send(b)
}

func (r *roomConn) sayBye(c code.Code, retryMS uint32) {
	r.t.Helper()
	r.send(wire.AppendBye(nil, &wire.Bye{Code: c, RetryMS: retryMS}))
	r.close()
}

// login answers HELLO for product p with the cursor it brought.
func (r *roomConn) login() wire.Hello {
	r.t.Helper()
	h := r.hello()
	r.welcome(wire.Welcome{})
	for _, b := range h.Bindings {
		r.bound(b.Product, b.Cursor)
	}
	return h
}

// fakeNet hands the room's end of every dial to the test.
type fakeNet struct {
	t     testing.TB
	conns chan *roomConn
	mu    sync.Mutex
	down  map[string]bool // addresses that refuse
	dials []string
}

func (n *fakeNet) dial(_ context.Context, _, addr string) (net.Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.dials = append(n.dials, addr)
	if n.down[addr] {
		return nil, errors.New("connection refused")
	}
	device, room := net.Pipe()
	n.conns <- newRoomConn(n.t, room, addr)
	return device, nil
}

func (n *fakeNet) refuse(addrs ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.down = map[string]bool{}
	for _, a := range addrs {
		n.down[a] = true
	}
}

func (n *fakeNet) dialed() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.dials)
}

func (n *fakeNet) accept() *roomConn {
	n.t.Helper()
	select {
	case r := <-n.conns:
		return r
	case <-time.After(time.Hour):
		n.t.Fatal("the device did not connect")
	}
	panic("unreachable")
}

// world is a device under test in a bubble: its own fake network and clock.
type world struct {
	*fakeNet
	client *Client
	cancel context.CancelFunc
	result chan error

	evmu   sync.Mutex
	events []string
	got    []Message
}

func (w *world) note(s string) {
	w.evmu.Lock()
	w.events = append(w.events, s)
	w.evmu.Unlock()
}

func (w *world) log() []string {
	synctest.Wait()
	w.evmu.Lock()
	defer w.evmu.Unlock()
	return slices.Clone(w.events)
}

// seqs are the handled seqs in the order of the handler's return.
func (w *world) seqs() (out []uint64) {
	synctest.Wait()
	w.evmu.Lock()
	defer w.evmu.Unlock()
	for _, m := range w.got {
		out = append(out, m.Seq)
	}
	return out
}

func (w *world) handle(_ context.Context, m Message) error {
	w.evmu.Lock()
	w.got = append(w.got, m)
	w.evmu.Unlock()
	return nil
}

// pass lets d of the bubble's time go by and what it set off come to rest. It
// panics outside a bubble.
func (w *world) pass(d time.Duration) {
	synctest.Wait()
	<-time.After(d)
	synctest.Wait()
}

// inBubble runs body with a started client for product p on room-a; change
// edits the config first.
func inBubble(t *testing.T, change func(w *world, c *Config), body func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{fakeNet: &fakeNet{t: t, conns: make(chan *roomConn, 64)}, result: make(chan error, 1)}
		cfg := Config{
			Device: "d1", Token: func(context.Context) (string, error) { return "tok", nil },
			Products: []Product{{Name: "p"}}, Addresses: []string{"a:1"}, Handler: w.handle, Dial: w.dial,
			Rand:           func() float64 { return 0.5 },
			OnConnected:    func(Connected) { w.note("connected") },
			OnDisconnected: func(d Disconnected) { w.note("disconnected " + d.Code.String()) },
		}
		if change != nil {
			change(w, &cfg)
		}
		c, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		w.client = c
		ctx, cancel := context.WithCancel(t.Context())
		w.cancel = cancel
		done := make(chan struct{})
		go func() { defer close(done); w.result <- c.Run(ctx) }()
		defer func() { cancel(); <-done }()
		body(t, w)
	})
}

// stop ends the client and returns Run's answer.
func (w *world) stop() error {
	w.cancel()
	return <-w.result
}
