package sdk

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"longlink/pkg/code"
	"longlink/pkg/wire"
)

func TestMessagesComeInOrderAndDuplicatesAreDropped(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		r := w.accept()
		r.login()
		r.push("p", 10, 11, 11, 12, 10, 13)
		r.ackUpTo(13)
		if got := w.seqs(); !slices.Equal(got, []uint64{10, 11, 12, 13}) {
			t.Fatalf("handled %v", got)
		}
		if s := w.client.Stats(); s.Duplicates != 2 || s.Handled != 4 || s.Received != 6 {
			t.Fatalf("stats %+v", s)
		}
		r.push("p", 12) // consumed long ago: acknowledged again
		if got := r.ack(); got != 13 {
			t.Fatalf("ACK %d", got)
		}
	})
}

func TestMessageCarriesEverything(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		r := w.accept()
		r.login()
		ext := wire.AppendInReplyTo(wire.AppendCollapseKey(wire.AppendData(nil, "k", "v"), "c"), 9)
		r.send(wire.AppendPush(nil, &wire.Push{Flags: wire.FlagJSON, Product: []byte("p"), Seq: 7, ID: []byte("m-1"), Ext: ext, Payload: []byte(`{"a":1}`)}))
		r.ackUpTo(7)
		m := w.got[0]
		if m.Product != "p" || m.ID != "m-1" || !m.JSON || m.Text || m.Broadcast || string(m.Payload) != `{"a":1}` || m.Data["k"] != "v" || m.InReplyTo != 9 || m.CollapseKey != "c" {
			t.Fatalf("%+v", m)
		}
	})
}

// failing is a handler that fails n times for seq, and notes every call.
type failing struct {
	w     *world
	seq   uint64
	n     int
	calls []uint64
}

func (f *failing) handle(ctx context.Context, m Message) error {
	f.w.evmu.Lock()
	f.calls = append(f.calls, m.Seq)
	fail := m.Seq == f.seq && f.n > 0
	if fail {
		f.n--
	}
	f.w.evmu.Unlock()
	if fail {
		return errors.New("not now")
	}
	return f.w.handle(ctx, m)
}

func TestFailingHandlerMakesOnlyItsLaneWait(t *testing.T) {
	var f *failing
	inBubble(t, func(w *world, c *Config) {
		f = &failing{w: w, seq: 2, n: 3}
		c.Products = []Product{{Name: "p"}, {Name: "q"}}
		c.Handler = func(ctx context.Context, m Message) error {
			if m.Product == "q" {
				return w.handle(ctx, m)
			}
			return f.handle(ctx, m)
		}
	}, func(t *testing.T, w *world) {
		r := w.accept()
		r.login()
		r.push("p", 1, 2, 3)
		r.push("q", 100)
		if got := w.seqs(); !slices.Contains(got, 100) || slices.Contains(got, 3) {
			t.Fatalf("handled before the retry: %v", got)
		}
		for acked := uint64(0); acked < 3; {
			if a, err := wire.ParseAck(r.expect(wire.TypeAck).body); err == nil && string(a.Product) == "p" {
				acked = a.Seq
			}
		}
		if !slices.Equal(f.calls, []uint64{1, 2, 2, 2, 2, 3}) {
			t.Fatalf("calls %v", f.calls)
		}
		if s := w.client.Stats(); s.HandlerErrors != 3 {
			t.Fatalf("stats %+v", s)
		}
	})
}

func TestHandlerPanicIsAnError(t *testing.T) {
	n := 0
	inBubble(t, func(w *world, c *Config) {
		c.Handler = func(context.Context, Message) error {
			if n++; n == 1 {
				panic("bug in the app")
			}
			return nil
		}
	}, func(t *testing.T, w *world) {
		r := w.accept()
		r.login()
		r.push("p", 1)
		r.ackUpTo(1)
	})
}

// A message that the handler is still retrying comes again on the next
// connection: it must run neither in parallel nor a second time.
func TestReconnectWhileHandlerRetries(t *testing.T) {
	var f *failing
	inBubble(t, func(w *world, c *Config) {
		f = &failing{w: w, seq: 2, n: 12}
		c.Handler = f.handle
	}, func(t *testing.T, w *world) {
		r := w.accept()
		r.login()
		r.push("p", 1, 2, 3)
		r.ackUpTo(1)
		r.close()
		r = w.accept()
		if h := r.login(); h.Bindings[0].Cursor != 1 {
			t.Fatalf("cursor %d", h.Bindings[0].Cursor)
		}
		r.push("p", 2, 3, 4)
		r.ackUpTo(4)
		if got := w.seqs(); !slices.Equal(got, []uint64{1, 2, 3, 4}) {
			t.Fatalf("handled %v", got)
		}
		if n := w.client.Stats().Duplicates; n != 1 {
			t.Fatalf("%d duplicates, the one in the handler's hands is one", n)
		}
	})
}

// What waited in the queue when the connection broke is sent again, or was
// recalled meanwhile: the queue starts empty, so that the window holds.
func TestQueueStartsEmptyOnANewConnection(t *testing.T) {
	var f *failing
	inBubble(t, func(w *world, c *Config) {
		f = &failing{w: w, seq: 1, n: 8}
		c.Handler = f.handle
	}, func(t *testing.T, w *world) {
		r := w.accept()
		for _, seqs := range [][]uint64{{1, 2, 3, 4}, {1, 5, 6, 7}} {
			h := r.hello()
			r.welcome(wire.Welcome{Window: 3})
			r.bound("p", h.Bindings[0].Cursor)
			r.push("p", seqs[0])
			synctest.Wait()
			r.push("p", seqs[1:]...)
			synctest.Wait()
			if seqs[3] == 4 {
				r.close()
				r = w.accept()
			}
		}
		r.ackUpTo(7)
		if got := w.seqs(); !slices.Equal(got, []uint64{1, 5, 6, 7}) {
			t.Fatalf("handled %v", got)
		}
	})
}

func TestHandlerEndsWhileReconnecting(t *testing.T) {
	hold := make(chan struct{})
	inBubble(t, func(w *world, c *Config) {
		c.Handler = func(ctx context.Context, m Message) error {
			if m.Seq == 2 {
				<-hold
			}
			return w.handle(ctx, m)
		}
	}, func(t *testing.T, w *world) {
		hold = make(chan struct{}) // of this bubble
		r := w.accept()
		r.login()
		r.push("p", 1, 2, 3)
		r.ackUpTo(1)
		r.close()
		r = w.accept()
		h := r.hello() // says 1
		close(hold)
		synctest.Wait() // 2, and 3 from the old queue, are consumed between HELLO and BOUND
		r.welcome(wire.Welcome{})
		r.bound("p", h.Bindings[0].Cursor)
		r.push("p", 2, 3, 4)
		r.ackUpTo(4)
		if got := w.seqs(); !slices.Equal(got, []uint64{1, 2, 3, 4}) {
			t.Fatalf("handled %v", got)
		}
	})
}

func TestQoS0IsTriedOnceAndNeverAcknowledged(t *testing.T) {
	var f *failing
	inBubble(t, func(w *world, c *Config) {
		f = &failing{w: w, seq: 0, n: 1}
		c.Handler = f.handle
	}, func(t *testing.T, w *world) {
		r := w.accept()
		r.login()
		r.push("p", 0, 0, 5)
		r.ackUpTo(5)
		if !slices.Equal(f.calls, []uint64{0, 0, 5}) || w.client.Stats().DroppedQoS0 != 1 {
			t.Fatalf("calls %v, stats %+v", f.calls, w.client.Stats())
		}
	})
}

func TestMoreThanTheWindowEndsTheConnection(t *testing.T) {
	var f *failing
	inBubble(t, func(w *world, c *Config) {
		f = &failing{w: w, seq: 1, n: 1 << 30}
		c.Handler = f.handle
	}, func(t *testing.T, w *world) {
		r := w.accept()
		r.hello()
		r.welcome(wire.Welcome{Window: 3})
		r.bound("p", 0)
		r.push("p", 1)
		synctest.Wait()
		r.push("p", 2, 3, 4)
		synctest.Wait()
		r.push("p", 5)
		if b := r.bye(); b.Code != code.ProtocolError {
			t.Fatalf("BYE %s", b.Code)
		}
		w.accept() // and it comes back
	})
}

func TestPushBeforeBoundEndsTheConnection(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		r := w.accept()
		r.hello()
		r.welcome(wire.Welcome{})
		r.push("p", 1)
		if b := r.bye(); b.Code != code.ProtocolError {
			t.Fatalf("BYE %s", b.Code)
		}
	})
}

func TestNoAckNeverMovesTheCursor(t *testing.T) {
	inBubble(t, func(w *world, c *Config) { c.NoAck = true }, func(t *testing.T, w *world) {
		r := w.accept()
		r.login()
		r.push("p", 1, 2)
		r.quiet(10 * time.Second)
		if got := w.seqs(); !slices.Equal(got, []uint64{1, 2}) {
			t.Fatalf("handled %v", got)
		}
		r.close()
		if h := w.accept().login(); h.Bindings[0].Cursor != 0 {
			t.Fatalf("cursor %d", h.Bindings[0].Cursor)
		}
	})
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
