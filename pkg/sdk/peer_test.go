package sdk

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"longlink/pkg/code"
	"longlink/pkg/wire"
)

func TestHeartbeatKeepsTheConnection(t *testing.T) {
	inBubble(t, func(_ *world, c *Config) { c.Rand = func() float64 { return 0 } }, func(t *testing.T, w *world) {
		r := w.accept()
		h := r.hello()
		r.welcome(wire.Welcome{HeartbeatMS: 60_000, HeartbeatMinMS: 30_000, HeartbeatMaxMS: 90_000})
		r.bound("p", h.Bindings[0].Cursor)
		last := time.Now()
		for range 5 {
			r.expect(wire.TypePing)
			if d := time.Since(last); d < 59*time.Second || d > 61*time.Second {
				t.Fatalf("PING after %s", d)
			}
			last = time.Now()
			r.send(wire.PongFrame)
		}
		w.pass(30 * time.Second)
		r.push("p", 1) // an ACK goes out: the next PING waits an interval from there
		r.ackUpTo(1)
		last = time.Now()
		r.expect(wire.TypePing)
		if d := time.Since(last); d < 59*time.Second {
			t.Fatalf("PING %s after an ACK", d)
		}
		r.send(wire.PingFrame) // the room's own: also a sign of life
		r.expect(wire.TypePong)
		if got := w.log(); !slices.Equal(got, []string{"connected"}) {
			t.Fatalf("events %v", got)
		}
	})
}

func TestDeadPeerIsNoticed(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		r := w.accept()
		r.hello()
		r.welcome(wire.Welcome{HeartbeatMS: 60_000})
		r.bound("p", 0)
		start := time.Now()
		r.expect(wire.TypePing)
		w.accept() // no PONG came
		if d := time.Since(start); d < 60*time.Second || d > 80*time.Second {
			t.Fatalf("came back after %s", d)
		}
		if got := w.log(); !slices.Equal(got, []string{"connected", "disconnected HEARTBEAT_TIMEOUT"}) {
			t.Fatalf("events %v", got)
		}
	})
}

// Sending alone proves nothing about the server: it is pinged all the same.
func TestSilentServerIsPingedWhileWeSend(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		r := w.accept()
		r.hello()
		r.welcome(wire.Welcome{HeartbeatMS: 60_000})
		r.bound("p", 0)
		start := time.Now()
		for range 6 {
			if err := w.client.Bind(Product{Name: "p"}); err != nil {
				t.Fatal(err)
			}
			w.pass(20 * time.Second)
		}
		if w.accept(); time.Since(start) > 2*time.Minute {
			t.Fatalf("noticed after %s", time.Since(start))
		}
	})
}

// Hearing alone proves nothing to the server: we ping all the same.
func TestPingGoesOutWhileTheServerSends(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		r := w.accept()
		r.hello()
		r.welcome(wire.Welcome{HeartbeatMS: 60_000})
		r.bound("p", 0)
		synctest.Wait()
		start := time.Now()
		for range 4 {
			w.pass(16 * time.Second)
			r.push("p", 0)
		}
		if r.expect(wire.TypePing); time.Since(start) > 65*time.Second {
			t.Fatalf("PING after %s", time.Since(start))
		}
	})
}

func TestSilentServerAtLogin(t *testing.T) {
	inBubble(t, func(_ *world, c *Config) { c.Addresses = []string{"a:1", "b:1"} }, func(t *testing.T, w *world) {
		start := time.Now()
		w.accept().hello()
		if r := w.accept(); r.addr != "b:1" || time.Since(start) > 20*time.Second {
			t.Fatalf("%s after %s", r.addr, time.Since(start))
		}
	})
}

func TestGarbageFromTheServer(t *testing.T) {
	hello := func(r *roomConn) { r.hello() }
	welcomed := func(r *roomConn) { r.login() }
	for name, c := range map[string]struct {
		before func(*roomConn)
		bytes  []byte
		bye    code.Code
	}{
		"http":             {hello, []byte("HTTP/1.1 400 Bad Request\r\n\r\n"), code.OK},
		"long length":      {hello, []byte{2, 0xff, 0xff, 0xff, 0xff}, code.FrameTooLarge},
		"oversize":         {welcomed, []byte{8, 0xff, 0xff, 0x7f}, code.FrameTooLarge},
		"short welcome":    {hello, []byte{2, 1, 1}, code.Malformed},
		"bad version":      {hello, wire.AppendWelcome(nil, &wire.Welcome{Version: 9}), code.VersionUnsupported},
		"push at login":    {hello, wire.AppendPush(nil, &wire.Push{Product: []byte("p"), Seq: 1}), code.ProtocolError},
		"second welcome":   {welcomed, wire.AppendWelcome(nil, &wire.Welcome{Version: 1}), code.ProtocolError},
		"push cut short":   {welcomed, []byte{8, 3, 0, 1, 'p'}, code.Malformed},
		"bound of nothing": {welcomed, []byte{3, 0}, code.Malformed},
		"bad bye":          {welcomed, []byte{13, 1, 0}, code.Malformed},
	} {
		inBubble(t, nil, func(t *testing.T, w *world) {
			r := w.accept()
			c.before(r)
			r.send(c.bytes)
			if c.bye == code.OK { // no frame may ever complete: the login timeout ends it
				w.accept()
				return
			}
			if b := r.bye(); b.Code != c.bye {
				t.Errorf("%s: BYE %s, want %s", name, b.Code, c.bye)
			}
			w.accept().login() // its own finding is never final
		})
	}
}

func TestUnknownFramesAndFieldsAreSkipped(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		r := w.accept()
		r.hello()
		r.send([]byte{0x77, 3, 1, 2, 3})
		b := wire.AppendWelcome(nil, &wire.Welcome{Version: 1, Session: 3})
		body := append(b[2:len(b):len(b)], 200, 2, 9, 9)
		r.send(append([]byte{2, byte(len(body))}, body...))
		r.send([]byte{0xEE, 0})
		r.bound("p", 0)
		r.push("p", 1)
		r.ackUpTo(1)
	})
}
