package bench

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/panjf2000/gnet/v2"

	"longlink/pkg/lifecycle"
	"longlink/pkg/wire"
)

// floorLoad is one unicast load: the floor makes the messages itself, on its
// loop, since it has no API. It ends after Duration or Messages.
type floorLoad struct {
	Index       int           `json:"index"` // this floor's number among Of: it sends numbers Index, Index+Of, …
	Of          int           `json:"of"`
	Messages    int           `json:"messages"`
	Duration    time.Duration `json:"duration"`
	Rate        float64       `json:"rate,omitempty"`        // messages/s; 0: as fast as acknowledged
	Outstanding int           `json:"outstanding,omitempty"` // without a rate: unacknowledged at once
	Payload     int           `json:"payload"`
}

// floorCount is what a floor has counted.
type floorCount struct {
	Conns int  `json:"conns"`
	Sent  int  `json:"sent"`
	Acked int  `json:"acked"` // messages
	Done  bool `json:"done"`  // the load has ended
}

// floor is the least that a server on gnet can do and still be one for these
// devices: it answers every HELLO with WELCOME and BOUND without looking into
// it, writes PUSH frames from inside the loop, and counts acks. One loop, gnet's
// own acceptor: the cheapest shape of bare gnet.
type floor struct {
	gnet.BuiltinEventEngine
	group *lifecycle.Group
	eng   gnet.Engine
	run   uint64
	el    gnet.EventLoop // known from the first connection on; sent over elCh
	elCh  chan gnet.EventLoop
	boot  chan error
	addr  string

	// The loop's own.
	conns   []*floorConn
	hello   []byte // the answer
	load    *floorLoad
	began   time.Time
	count   floorCount
	next    int // connection
	payload []byte
	frame   []byte
	push    wire.Push
}

// floorConn is one connection; its seqs count from 1.
type floorConn struct {
	gc          gnet.Conn
	sent, acked uint64
	at          int // in conns
}

func newFloor() *floor {
	return &floor{boot: make(chan error, 1), elCh: make(chan gnet.EventLoop, 1)}
}

// floorWindow bounds what a paced load has unacknowledged.
const floorWindow = 1 << 16

// floorProduct is the product of every device that the floor is used with.
const floorProduct = "demo"

func (s *floor) handle(o order) (answer, error) {
	switch {
	case o.Op == opListen && s.group == nil:
		return s.listen(o.Run)
	case o.Op == opLoad && o.Load != nil && o.Load.Of > 0:
		return answer{}, s.start(*o.Load)
	case o.Op == opCount:
		var c floorCount
		err := s.onLoop(func() { c = s.count })
		if errors.Is(err, errNoConnections) {
			err = nil
		}
		return answer{Floor: &c}, err
	}
	return answer{}, fmt.Errorf("a floor cannot carry out %q now", o.Op)
}

func (s *floor) listen(run uint64) (answer, error) {
	s.run = run
	s.hello = wire.AppendWelcome(nil, &wire.Welcome{Version: wire.Version, Session: 1, Room: "floor", HeartbeatMS: 300_000, Window: 4096})
	s.hello = wire.AppendBound(s.hello, &wire.Bound{Product: floorProduct})
	s.group = lifecycle.NewGroup(context.Background(), nil, nil)
	s.group.Go("bench floor", func(context.Context) error {
		err := gnet.Run(s, "tcp://127.0.0.1:0", gnet.WithNumEventLoop(1), gnet.WithReadBufferCap(readBuffer),
			gnet.WithTCPNoDelay(gnet.TCPNoDelay), gnet.WithLogger(silent{}))
		if err == nil {
			err = errors.New("gnet has ended")
		}
		select {
		case s.boot <- err: // it never began
		default:
		}
		return nil
	})
	err := <-s.boot
	return answer{Addr: s.addr}, err
}

// OnBoot finds the port that was taken.
func (s *floor) OnBoot(eng gnet.Engine) gnet.Action {
	s.eng = eng
	fd, err := eng.Dup()
	if err == nil {
		var sa syscall.Sockaddr
		sa, err = syscall.Getsockname(fd)
		if in, ok := sa.(*syscall.SockaddrInet4); ok {
			s.addr = fmt.Sprintf("127.0.0.1:%d", in.Port)
		}
		err = errors.Join(err, syscall.Close(fd))
	}
	s.boot <- err
	return gnet.None
}

var errNoConnections = errors.New("no device has connected to the floor yet")

// onLoop runs fn on the loop, which is known from the first connection on, and
// waits for it.
func (s *floor) onLoop(fn func()) error {
	if s.el == nil {
		select {
		case s.el = <-s.elCh:
		default:
			return errNoConnections
		}
	}
	done := make(chan struct{})
	err := s.el.Execute(context.Background(), gnet.RunnableFunc(func(context.Context) error {
		fn()
		close(done)
		return nil
	}))
	if err == nil {
		<-done
	}
	return err
}

// OnOpen remembers the connection.
func (s *floor) OnOpen(gc gnet.Conn) ([]byte, gnet.Action) {
	c := &floorConn{gc: gc, at: len(s.conns)}
	gc.SetContext(c)
	s.conns = append(s.conns, c)
	s.count.Conns++
	select {
	case s.elCh <- gc.EventLoop():
	default:
	}
	return nil, gnet.None
}

// OnClose forgets it.
func (s *floor) OnClose(gc gnet.Conn, _ error) gnet.Action {
	c := gc.Context().(*floorConn)
	last := s.conns[len(s.conns)-1]
	s.conns[c.at], last.at = last, c.at
	s.conns[len(s.conns)-1] = nil
	s.conns = s.conns[:len(s.conns)-1]
	s.count.Conns--
	return gnet.None
}

// OnTraffic answers every whole frame.
func (s *floor) OnTraffic(gc gnet.Conn) gnet.Action {
	c := gc.Context().(*floorConn)
	b, err := gc.Peek(-1)
	if err != nil {
		return gnet.None
	}
	used, freed := 0, 0
	for {
		t, body, n, cerr := wire.Header(b[used:], wire.MaxBody)
		if cerr != nil {
			return gnet.Close
		}
		if n == 0 || len(b)-used < n+body {
			break
		}
		switch t {
		case wire.TypeHello:
			_, err = gc.Write(s.hello)
		case wire.TypePing:
			_, err = gc.Write(wire.PongFrame)
		case wire.TypeAck:
			a, aerr := wire.ParseAck(b[used+n : used+n+body])
			if aerr != nil || a.Seq > c.sent {
				return gnet.Close
			}
			if a.Seq > c.acked {
				freed += int(a.Seq - c.acked)
				c.acked = a.Seq
			}
		case wire.TypeBye:
			return gnet.Close
		}
		if err != nil {
			return gnet.None // gnet has closed it
		}
		used += n + body
	}
	_, _ = gc.Discard(used)
	s.count.Acked += freed
	if s.load != nil && s.load.Rate == 0 {
		s.send(freed)
	}
	return gnet.None
}

// start begins a load; one at a time, after the devices are connected.
func (s *floor) start(l floorLoad) error {
	var err error
	if xerr := s.onLoop(func() {
		if s.load != nil || len(s.conns) == 0 {
			err = errors.New("a load comes once, and while devices are connected")
			return
		}
		s.load, s.began = &l, time.Now()
		s.payload = make([]byte, max(l.Payload, StampSize))
		s.push = wire.Push{Product: []byte(floorProduct), ID: []byte("01KB0000000000000000000000"), Payload: s.payload}
		if l.Rate == 0 {
			s.send(l.Outstanding)
		}
	}); err != nil || xerr != nil {
		return errors.Join(err, xerr)
	}
	if l.Rate > 0 {
		s.group.Go("bench floor pace", func(ctx context.Context) error { return s.pace(ctx, l.Rate) })
	}
	return nil
}

// pace sends what is due, message by message up to 1,000 a second, then every
// millisecond: waking up for nothing would be counted as the floor's cost.
func (s *floor) pace(ctx context.Context, rate float64) error {
	every := time.Duration(float64(time.Second) / rate)
	t := time.NewTicker(min(max(every, time.Millisecond), fleetTick))
	defer t.Stop()
	for done := false; !done; {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		if err := s.onLoop(func() {
			took := min(time.Since(s.began), s.load.Duration)
			due := int(took.Seconds()*rate) - s.count.Sent
			s.send(min(due, floorWindow-(s.count.Sent-s.count.Acked)))
			s.count.Done = s.count.Done || took == s.load.Duration
			done = s.count.Done
		}); err != nil {
			return err
		}
	}
	return nil
}

// send writes n messages, one write each, to the connections in turn.
func (s *floor) send(n int) {
	if s.count.Done {
		return
	}
	now := time.Now()
	for ; n > 0; n-- {
		if len(s.conns) == 0 || s.count.Sent >= s.load.Messages || s.load.Rate == 0 && now.Sub(s.began) >= s.load.Duration {
			s.count.Done = true
			return
		}
		c := s.conns[s.next%len(s.conns)]
		s.next++
		stamp{s.run, uint64(s.count.Sent*s.load.Of + s.load.Index), now}.write(s.payload)
		c.sent++
		s.push.Seq = c.sent
		s.frame = wire.AppendPush(s.frame[:0], &s.push)
		s.count.Sent++
		_, _ = c.gc.Write(s.frame) // an error has closed the connection, and the message counts as lost
	}
}

// close ends the server.
func (s *floor) close() error {
	if s.group == nil {
		return nil
	}
	s.group.Cancel()
	ctx, cancel := context.WithTimeout(context.Background(), childGrace/2)
	defer cancel()
	err := s.eng.Stop(ctx)
	return errors.Join(err, s.group.Wait())
}
