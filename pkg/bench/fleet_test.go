package bench

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"longlink/pkg/code"
	"longlink/pkg/wire"
)

// scripted is a room of which a test plays every frame.
type scripted struct {
	t   *testing.T
	lis net.Listener
	wg  sync.WaitGroup
}

// peer is one connection of it.
type peer struct {
	net.Conn
	r *bufio.Reader
}

// read gives the next frame; an error is the connection's end.
func (p *peer) read() (wire.Type, []byte, error) {
	head, err := p.r.Peek(2)
	if err == nil && head[1] >= 0x80 {
		head, err = p.r.Peek(3)
	}
	if err != nil {
		return 0, nil, err
	}
	t, body, n, cerr := wire.Header(head, wire.MaxBody)
	if cerr != nil || n == 0 {
		return 0, nil, fmt.Errorf("head %x: %v", head, cerr)
	}
	b := make([]byte, n+body)
	_, err = io.ReadFull(p.r, b)
	return t, b[n:], err
}

// want reads the next frame, which must be of a type.
func (p *peer) want(t wire.Type) ([]byte, error) {
	got, body, err := p.read()
	if err == nil && got != t {
		err = fmt.Errorf("%s came, want %s", got, t)
	}
	return body, err
}

// login reads HELLO and answers WELCOME and BOUND.
func (p *peer) login(cursor uint64, heartbeatMS uint32) error {
	if _, err := p.want(wire.TypeHello); err != nil {
		return err
	}
	b := wire.AppendWelcome(nil, &wire.Welcome{Version: 1, Session: 1, Room: "r", HeartbeatMS: heartbeatMS})
	_, err := p.Write(wire.AppendBound(b, &wire.Bound{Product: "demo", Cursor: cursor}))
	return err
}

// room plays a script on every connection.
func room(t *testing.T, play func(*peer) error) *scripted {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &scripted{t: t, lis: lis}
	s.wg.Go(func() {
		for {
			nc, err := lis.Accept()
			if err != nil {
				return
			}
			s.wg.Go(func() {
				defer nc.Close()
				_ = nc.SetDeadline(time.Now().Add(20 * time.Second))
				if err := play(&peer{nc, bufio.NewReader(nc)}); err != nil && !errors.Is(err, io.EOF) {
					t.Errorf("a device: %v", err)
				}
			})
		}
	})
	t.Cleanup(func() { _ = lis.Close(); s.wg.Wait() })
	return s
}

// fleetAt connects n devices and gives the fleet, which the test's end closes.
func fleetAt(t *testing.T, addr string, n int) *fleet {
	t.Helper()
	f := newFleet()
	var devices []credential
	for i := range n {
		devices = append(devices, credential{ID: fmt.Sprintf("d-%d", i), Token: "token"})
	}
	ask(t, f, order{Op: opDevices, Devices: devices})
	ask(t, f, order{Op: opConnect, Fleet: &fleetSpec{Run: 7, Product: "demo", Addrs: []string{addr}, InFlight: 2}})
	t.Cleanup(func() {
		if err := f.close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

func ask(t *testing.T, f *fleet, o order) answer {
	t.Helper()
	a, err := f.handle(o)
	if err != nil {
		t.Fatalf("%s: %v", o.Op, err)
	}
	return a
}

// until polls the fleet's count.
func until(t *testing.T, f *fleet, what string, ok func(*fleetCount) bool) *fleetCount {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; {
		c := ask(t, f, order{Op: opCount}).Fleet
		if ok(c) {
			return c
		}
		if time.Now().After(end) {
			t.Fatalf("never %s: %+v", what, c)
		}
		<-time.After(5 * time.Millisecond)
	}
}

func push(seq, number, run uint64) []byte {
	payload := make([]byte, StampSize)
	stamp{run, number, time.Now()}.write(payload)
	return wire.AppendPush(nil, &wire.Push{Product: []byte("demo"), ID: []byte("x"), Seq: seq, Payload: payload})
}

// Every kind of message is counted as what it is, and acknowledged by the
// cursor, once for what came together.
func TestDeviceCounts(t *testing.T) {
	steps := []struct {
		send []byte
		ack  uint64
	}{
		{append(push(11, 1, 7), push(15, 2, 7)...), 15},
		{push(15, 2, 7), 15},  // again, as after a lost ack
		{push(16, 2, 7), 16},  // the same number under a new seq
		{push(17, 3, 99), 17}, // another run's
		{push(0, 4, 7), 0},    // qos 0
	}
	s := room(t, func(p *peer) error {
		if err := p.login(10, 0); err != nil {
			return err
		}
		for i, step := range steps {
			if _, err := p.Write(step.send); err != nil {
				return err
			}
			if step.ack == 0 {
				continue
			}
			body, err := p.want(wire.TypeAck)
			if err != nil {
				return err
			}
			if a, aerr := wire.ParseAck(body); aerr != nil || a.Seq != step.ack {
				return fmt.Errorf("step %d: ack of %d, want %d", i, a.Seq, step.ack)
			}
		}
		if _, err := p.Write(wire.PingFrame); err != nil {
			return err
		}
		if _, err := p.want(wire.TypePong); err != nil {
			return err
		}
		_, err := p.want(wire.TypeBye)
		return err
	})
	f := fleetAt(t, s.lis.Addr().String(), 1)
	c := until(t, f, "all counted", func(c *fleetCount) bool { return c.Delivered == 3 })
	if c.Duplicated != 1 || c.Redelivered != 1 || c.Foreign != 1 || c.Acks != 4 || c.Latency.Count() != 3 || c.Login.Count() != 1 {
		t.Errorf("%+v", c)
	}
	if seen := ask(t, f, order{Op: opSeen}).Seen; seen.count() != 3 {
		t.Errorf("seen %v", seen)
	}
	ask(t, f, order{Op: opLeave})
	if c := ask(t, f, order{Op: opCount}).Fleet; c.Open != 0 || c.Live != 0 || total(c.Broken) != 0 {
		t.Errorf("after leaving: %+v", c)
	}
}

func TestLoginsThatFail(t *testing.T) {
	for name, c := range map[string]struct {
		play           func(*peer) error
		refused, broke string
	}{
		"BYE instead of WELCOME": {func(p *peer) error {
			if _, err := p.want(wire.TypeHello); err != nil {
				return err
			}
			_, err := p.Write(wire.AppendBye(nil, &wire.Bye{Code: code.Busy}))
			return err
		}, "BUSY", ""},
		"closed at once":       {func(p *peer) error { _, err := p.want(wire.TypeHello); return err }, endBroken, ""},
		"product refused":      {refuse(code.UnknownProduct), "UNKNOWN_PRODUCT", ""},
		"broken after login":   {func(p *peer) error { return p.login(0, 0) }, "", endBroken},
		"no heartbeat answer":  {mute, "", "HEARTBEAT_TIMEOUT"},
		"message before BOUND": {early, "PROTOCOL_ERROR", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := room(t, c.play)
			f := fleetAt(t, s.lis.Addr().String(), 3)
			got := until(t, f, "settled", func(n *fleetCount) bool { return total(n.Refused)+total(n.Broken) == 3 && n.Open == 0 })
			if got.Refused[c.refused]+got.Broken[c.broke] != 3 || got.Live != 0 || got.Dialed != 3 {
				t.Errorf("%+v", got)
			}
		})
	}
	t.Run("nobody listens", func(t *testing.T) {
		lis, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if err := lis.Close(); err != nil {
			t.Fatal(err)
		}
		f := fleetAt(t, lis.Addr().String(), 3)
		until(t, f, "settled", func(n *fleetCount) bool { return n.Refused[endDial] == 3 })
	})
}

// refuse answers HELLO with a BOUND that says no.
func refuse(why code.Code) func(*peer) error {
	return func(p *peer) error {
		if _, err := p.want(wire.TypeHello); err != nil {
			return err
		}
		b := wire.AppendWelcome(nil, &wire.Welcome{Version: 1, Session: 1})
		_, err := p.Write(wire.AppendBound(b, &wire.Bound{Product: "demo", Code: why}))
		return err
	}
}

// mute logs in with a short heartbeat and answers no PING.
func mute(p *peer) error {
	if err := p.login(0, 300); err != nil {
		return err
	}
	for {
		if _, _, err := p.read(); err != nil {
			return err
		}
	}
}

// early sends a message before BOUND.
func early(p *peer) error {
	if _, err := p.want(wire.TypeHello); err != nil {
		return err
	}
	_, err := p.Write(append(wire.AppendWelcome(nil, &wire.Welcome{Version: 1, Session: 1}), push(1, 1, 7)...))
	return err
}

// A BOUND that says "later" is answered with BIND, and the login counts when
// that has succeeded; heartbeats go on meanwhile.
func TestBindAgainAndHeartbeat(t *testing.T) {
	s := room(t, func(p *peer) error {
		if _, err := p.want(wire.TypeHello); err != nil {
			return err
		}
		b := wire.AppendWelcome(nil, &wire.Welcome{Version: 1, Session: 1, HeartbeatMS: 400})
		if _, err := p.Write(wire.AppendBound(b, &wire.Bound{Product: "demo", Code: code.Unavailable, RetryMS: 120})); err != nil {
			return err
		}
		for {
			t, body, err := p.read()
			if err != nil {
				return err
			}
			switch t {
			case wire.TypeBind:
				if b, err := wire.ParseBinding(body); err != nil || b.Product != "demo" {
					return fmt.Errorf("BIND %+v: %v", b, err)
				}
				if _, err := p.Write(wire.AppendBound(nil, &wire.Bound{Product: "demo"})); err != nil {
					return err
				}
			case wire.TypePing:
				if _, err := p.Write(wire.PongFrame); err != nil {
					return err
				}
			default:
				return fmt.Errorf("%s came", t)
			}
		}
	})
	f := fleetAt(t, s.lis.Addr().String(), 4)
	c := until(t, f, "pinged", func(c *fleetCount) bool { return c.LoggedIn == 4 && c.Pings >= 12 && c.Pongs >= 8 })
	if c.Rebinds != 4 || total(c.Refused)+total(c.Broken) != 0 || c.HeartbeatMS != 400 {
		t.Errorf("%+v", c)
	}
}
