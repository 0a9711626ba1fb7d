package saver

import (
	"context"
	"errors"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"longlink/pkg/api"
	"longlink/pkg/code"
	"longlink/pkg/lifecycle"
	"longlink/pkg/rpc"
)

// dial opens the saver's door on the in-process network.
func (r *running) dial() rpc.Conn {
	r.t.Helper()
	net := &rpc.InProcess{Log: r.log}
	srv, err := net.Listen("saver:0", r.Register)
	if err != nil {
		r.t.Fatal(err)
	}
	g := lifecycle.NewGroup(context.WithoutCancel(r.t.Context()), nil, nil)
	g.Go("rpc", srv.Serve)
	conn, err := net.Dial(srv.Addr())
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		g.Cancel()
		if err := errors.Join(g.Wait(), conn.Close()); err != nil {
			r.t.Error(err)
		}
	})
	return conn
}

func TestHotCalls(t *testing.T) {
	w := embeddedWorld(t)
	conn := w.start().dial()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	appendTo, err := rpc.Append(ctx, conn)
	if err != nil {
		t.Fatal(err)
	}
	late := push{device: "d", text: "late"}.item()
	r, err := appendTo(&api.BatchHeader{Number: 1}, []*api.AppendItem{push{device: "d", text: "a"}.item(), push{device: "d d"}.item(), late})
	if err != nil || len(r) != 3 || r[0].Result != nil || r[1].Result.Field != "device" || r[2].Prev != r[0].Seq {
		t.Fatalf("append: %v %v", r, err)
	}
	loadFrom, err := rpc.Load(ctx, conn)
	if err != nil {
		t.Fatal(err)
	}
	p, err := loadFrom(&api.BatchHeader{Number: 1}, []*api.LoadItem{{Device: "d", Product: "shop", Login: true}, {Device: "", Product: "shop"}})
	if err != nil || texts(p[0]) != "a late" || p[1].GetResult().GetCode() != uint32(code.InvalidArgument) {
		t.Fatalf("load: %v %v", p, err)
	}
	ackTo, err := rpc.Ack(ctx, conn)
	if err != nil {
		t.Fatal(err)
	}
	if a, err := ackTo(&api.BatchHeader{Number: 1}, []*api.AckItem{{Device: "d", Product: "shop", Seq: r[0].Seq}, {}}); err != nil || a[0].Result != nil || a[1].Result == nil {
		t.Fatalf("ack: %v %v", a, err)
	}
	n, err := api.NewSaverClient(conn).Pending(ctx, &api.PendingRequest{Device: "d", Products: []string{"shop", "other"}})
	if err != nil || len(n.Counts) != 2 || n.Counts[0] != 1 || n.Counts[1] != 0 {
		t.Fatalf("pending: %v %v", n, err)
	}
	if _, err := api.NewSaverClient(conn).Pending(ctx, &api.PendingRequest{Device: "d", Products: []string{""}}); rpc.FromStatus(err).Field != "product" {
		t.Fatalf("pending of nothing: %v", err)
	}
	if _, err := api.NewSaverClient(conn).BroadcastLog(ctx, &api.BroadcastLogRequest{Product: "shop"}); status.Code(err) != codes.Unimplemented {
		t.Fatalf("broadcast log: %v", err)
	}
}

func TestWaitAck(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		s := w.start(func(c *Config) { c.Work.Waiters = 2 })
		client := api.NewSaverClient(s.dial())
		wait := func(seq uint64, d time.Duration) (bool, error) {
			r, err := client.WaitAck(t.Context(), &api.WaitAckRequest{Device: "d", Product: "shop", Seq: seq, WaitMs: uint32(d.Milliseconds())})
			return r.GetAcked(), err
		}
		m := s.mustPush(push{device: "d", text: "a"})
		if acked, err := wait(m.Seq, 20*time.Millisecond); acked || err != nil {
			t.Fatalf("acked %v %v before any ack", acked, err)
		}
		got := make(chan bool, 2)
		for range 2 {
			go func() {
				acked, err := wait(m.Seq, time.Minute)
				got <- acked && err == nil
			}()
		}
		eventually(t, "two wait", func() bool { s.waiters.mu.Lock(); defer s.waiters.mu.Unlock(); return s.waiters.count == 2 })
		if _, err := wait(m.Seq, time.Minute); rpc.FromStatus(err).Code != code.RateLimited {
			t.Fatalf("a third waiter: %v", err)
		}
		s.ack("d", m.Seq)
		if first, second := <-got, <-got; !first || !second {
			t.Fatal("a waiter was not told")
		}
		// Acked before: at once, from what is pending and from the ledger.
		if acked, err := wait(m.Seq, time.Minute); !acked || err != nil {
			t.Fatalf("acked %v %v", acked, err)
		}
		eventually(t, "the cursor is in the ledger", func() bool { return s.cursors.get(laneOf("d")) == 0 })
		if acked, err := wait(m.Seq, time.Minute); !acked || err != nil {
			t.Fatalf("acked %v %v", acked, err)
		}
		// Gone, but not by an ack.
		x := s.mustPush(push{device: "d", text: "x", collapse: "k"})
		s.mustPush(push{device: "d", text: "y", collapse: "k"})
		if acked, err := wait(x.Seq, 20*time.Millisecond); acked || err != nil {
			t.Fatalf("a replaced message counts as acked: %v %v", acked, err)
		}
		// The ack went through another saver.
		z := s.mustPush(push{device: "d", text: "z"})
		other := w.start()
		go func() {
			acked, err := wait(z.Seq, time.Minute)
			got <- acked && err == nil
		}()
		other.ack("d", z.Seq)
		if !<-got {
			t.Fatal("an ack through another saver was not seen")
		}
	})
}

// While the ledger does not take cursors the acks are refused, not forgotten.
func TestAckBackPressure(t *testing.T) {
	w := embeddedWorld(t)
	s := w.start(func(c *Config) { c.Work.CursorPending = 16; c.Work.CursorFlush = 1 << 40 })
	for i := range 17 {
		d := "d" + string(rune('a'+i))
		m := s.mustPush(push{device: d, text: "a"})
		out := s.Ack([]*api.AckItem{{Device: d, Product: "shop", Seq: m.Seq}})[0]
		if c := code.Code(out.GetResult().GetCode()); i < 16 && c != code.OK || i == 16 && c != code.RateLimited {
			t.Fatalf("ack of lane %d: %v", i, c)
		}
	}
	s.holds("dq", "a")
	if err := s.cursors.flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.ack("dq", 1<<52)
	s.holds("dq", "")
}

// A stopped saver answers, with the word that says so.
func TestStopped(t *testing.T) {
	w := embeddedWorld(t)
	s := w.start()
	a := s.mustPush(push{device: "d", text: "a"})
	s.ack("d", a.Seq)
	s.stop()
	if _, c := s.push(push{device: "d", text: "b"}); c != code.Shutdown {
		t.Fatalf("push to a stopped saver: %v", c)
	}
	l := openLedger(t, w)
	if c, err := l.Cursor(t.Context(), laneOf("d").Slot, "shop", "d"); err != nil || c != a.Seq {
		t.Fatalf("the stop has not brought the cursor into the ledger: %d %v", c, err)
	}
}
