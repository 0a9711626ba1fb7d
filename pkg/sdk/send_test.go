package sdk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"longlink/pkg/code"
	"longlink/pkg/wire"
)

func TestSend(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		r := w.accept()
		r.upLogin()
		s := w.send("p", "a")
		u := r.up()
		if string(u.Product) != "p" || string(u.Kind) != "k" || string(u.Payload) != "a" || u.Flags != wire.FlagText|wire.FlagFirst {
			t.Fatalf("%+v", u)
		}
		s.waits()
		r.upAck(code.OK, 0, u.UpID)
		s.stored()
		s = w.send("p", "b")
		next := r.up()
		if next.UpID <= u.UpID || next.Flags&wire.FlagFirst == 0 {
			t.Fatalf("%+v after %d", next, u.UpID)
		}
		r.upAck(code.PayloadTooLarge, 0, next.UpID)
		s.refused(code.PayloadTooLarge)
		if n := w.client.Stats(); n.Ups != 2 || n.UpsStored != 1 || n.UpsRefused != 1 || n.UpsHeld != 0 {
			t.Fatalf("stats %+v", n)
		}
	})
}

func TestSendChecksItsArguments(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		w.accept().upLogin()
		for field, err := range map[string]error{
			"product": w.client.Send(t.Context(), "a b", "k", 0, nil),
			"kind":    w.client.Send(t.Context(), "p", "", 0, nil),
			"flags":   w.client.Send(t.Context(), "p", "k", wire.FlagFirst, nil),
			"body":    w.client.Send(t.Context(), "p", "k", 0, make([]byte, MaxSendBytes+1)),
		} {
			var ce *code.Error
			if !errors.As(err, &ce) || ce.Field != field || ce.Code.Action() != code.Never {
				t.Errorf("%s: %v", field, err)
			}
		}
		over, cancel := context.WithCancel(t.Context())
		cancel()
		if err := w.client.Send(over, "p", "k", 0, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("a context that was over: %v", err)
		}
		if n := w.client.Stats().Ups; n != 0 {
			t.Errorf("%d frames", n)
		}
	})
}

// A room without the feature ends what waits, and what comes.
func TestServerWithoutUpstream(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		early := w.send("p", "a")
		early.waits()
		w.accept().login()
		early.refused(code.FailedPrecondition)
		w.send("p", "b").refused(code.FailedPrecondition)
	})
}

// UP is for bound products only: a Send waits for the BOUND of its connection.
func TestSendWaitsForBound(t *testing.T) {
	inBubble(t, twoProducts, func(t *testing.T, w *world) {
		r := w.accept()
		r.hello()
		s, other := w.send("p", "a"), w.send("q", "b")
		r.welcome(wire.Welcome{Features: wire.FeatureUpstream})
		r.send(wire.AppendBound(nil, &wire.Bound{Product: "p", Code: code.Unavailable, RetryMS: 4000}))
		r.expect(wire.TypeBind)
		r.send(wire.AppendBound(nil, &wire.Bound{Product: "q", Code: code.ProductNotGranted}))
		other.refused(code.ProductNotGranted)
		w.send("q", "c").refused(code.ProductNotGranted)
		s.waits()
		r.bound("p", 0)
		r.upAck(code.OK, 0, r.ups("!a")...)
		s.stored()
	})
}

func TestSendOfAProductThatIsNotBound(t *testing.T) {
	inBubble(t, twoProducts, func(t *testing.T, w *world) {
		w.send("r", "a").refused(code.Unbound)
		r := w.accept()
		r.upLogin()
		off, unbound := w.send("p", "b"), w.send("q", "c")
		r.ups("!b", "!c")
		r.send(wire.AppendBound(nil, &wire.Bound{Product: "p", Code: code.Unbound})) // the server takes it off
		off.refused(code.Unbound)
		w.send("p", "d").refused(code.Unbound)
		w.client.Unbind("q")
		unbound.refused(code.Unbound)
		w.send("q", "e").refused(code.Unbound)
		if err := w.client.Bind(Product{Name: "q"}); err != nil {
			t.Fatal(err)
		}
		again := w.send("q", "f")
		r.expect(wire.TypeUnbind)
		r.expect(wire.TypeBind)
		r.send(wire.AppendBound(nil, &wire.Bound{Product: "q", Code: code.Unbound})) // answers the UNBIND
		again.waits()
		r.bound("q", 0)
		r.upAck(code.OK, 0, r.ups("!f")...)
		again.stored()
	})
}

// A body that no frame of this connection can hold costs nobody else anything.
func TestSendLongerThanAFrame(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		fits := w.send("p", "a")
		tooLong := w.send("p", string(bytes.Repeat([]byte("x"), 1000)))
		r := w.accept()
		h := r.hello()
		r.welcome(wire.Welcome{Features: wire.FeatureUpstream, MaxFrame: 1000})
		tooLong.refused(code.PayloadTooLarge)
		r.bound("p", h.Bindings[0].Cursor)
		exact := w.send("p", string(bytes.Repeat([]byte("y"), 1000-14))) // product and kind have a byte each
		w.send("p", string(bytes.Repeat([]byte("y"), 1000-13))).refused(code.PayloadTooLarge)
		r.upAck(code.OK, 0, r.up().UpID, r.up().UpID)
		fits.stored()
		exact.stored()
	})
}

func TestOutboxIsBounded(t *testing.T) {
	t.Run("sends", func(t *testing.T) {
		inBubble(t, twoProducts, func(t *testing.T, w *world) {
			var first *sending
			for i := range MaxSends {
				s := w.send([]string{"p", "q"}[i%2], fmt.Sprint(i))
				if i == 0 {
					first = s
				}
			}
			w.send("p", "over").refused(code.RateLimited)
			r := w.accept()
			r.upLogin()
			u := r.up()
			for range MaxSends - 1 {
				r.up()
			}
			r.upAck(code.OK, 0, u.UpID)
			first.stored()
			w.send("p", "fits again")
			if got := r.up(); string(got.Payload) != "fits again" || got.Flags&wire.FlagFirst != 0 {
				t.Fatalf("%s, flags %d", got.Payload, got.Flags)
			}
		})
	})
	t.Run("bytes", func(t *testing.T) {
		inBubble(t, nil, func(t *testing.T, w *world) {
			quarter := string(make([]byte, MaxSendBytes/4))
			first := w.send("p", quarter)
			for range 3 {
				w.send("p", quarter)
			}
			w.send("p", "x").refused(code.RateLimited)
			first.giveUp()
			w.send("p", quarter).waits()
		})
	})
}

// No more bytes are unanswered than every room takes, however many wait.
func TestUnansweredBytesAreBounded(t *testing.T) {
	inBubble(t, twoProducts, func(t *testing.T, w *world) {
		r := w.accept()
		r.upLogin()
		const n = 9
		body := string(make([]byte, 60<<10))
		var all []*sending
		for i := range n {
			all = append(all, w.send([]string{"p", "q"}[i%2], body))
		}
		var last uint64
		start := time.Now()
		for got := 0; got < n; {
			var ids []uint64
			for got+len(ids) < n && len(ids) < 2 {
				u := r.up()
				if u.UpID <= last {
					t.Fatalf("up_id %d after %d", u.UpID, last)
				}
				last, ids = u.UpID, append(ids, u.UpID)
			}
			r.quiet(time.Second)
			r.upAck(code.OK, 0, ids...)
			got += len(ids)
		}
		if at := time.Since(start); at != 5*time.Second {
			t.Fatalf("the last one left after %s: an answer makes room at once", at)
		}
		for _, s := range all {
			s.stored()
		}
	})
}

func TestSendsEndWithRun(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		early := w.send("p", "a")
		r := w.accept()
		r.upLogin()
		r.ups("!a")
		held := w.send("p", "b")
		r.upAck(code.Hold, 0, r.ups("b")...)
		synctest.Wait()
		if err := w.stop(); err != nil {
			t.Fatal(err)
		}
		for _, s := range []*sending{early, held, w.send("p", "late")} {
			if err := s.answer(); !errors.Is(err, ErrClosed) {
				t.Fatalf("Send after the end of Run: %v", err)
			}
		}
		w.result <- nil
	})
	inBubble(t, nil, func(t *testing.T, w *world) { // a device that is refused for good
		s := w.send("p", "a")
		r := w.accept()
		r.hello()
		r.sayBye(code.Banned, 0)
		if err := s.answer(); !errors.Is(err, ErrClosed) {
			t.Fatal(err)
		}
	})
}

// Many goroutines send while connections break: each Send that returned nil is
// in the room's log once, and the numbers of a product rise.
func TestManySenders(t *testing.T) {
	inBubble(t, twoProducts, func(t *testing.T, w *world) {
		const senders, each = 24, 20
		log := map[string]bool{}
		last := map[string]uint64{}
		served := make(chan struct{})
		go func() { // the room: cuts every 70th UP, after storing every second of those
			defer close(served)
			for n := 0; len(log) < senders*each; {
				r := w.accept()
				r.upLogin()
				for f := range r.frames {
					if f.t != wire.TypeUp {
						continue
					}
					u, err := wire.ParseUp(f.body)
					if err != nil {
						t.Error(err)
					}
					n++
					if n%140 == 0 {
						break
					}
					body, product := string(u.Payload), string(u.Product)
					if !log[body] {
						if u.UpID <= last[product] {
							t.Errorf("up_id %d of %s after %d", u.UpID, product, last[product])
						}
						log[body], last[product] = true, u.UpID
					}
					if n%70 == 0 {
						break
					}
					r.upAck(code.OK, 0, u.UpID)
					if len(log) == senders*each {
						return
					}
				}
				r.close()
			}
		}()
		var wg sync.WaitGroup
		for i := range senders {
			wg.Go(func() {
				for j := range each {
					body := fmt.Sprintf("%d/%d", i, j)
					if err := w.client.Send(t.Context(), []string{"p", "q"}[i%2], "k", 0, []byte(body)); err != nil {
						t.Errorf("%s: %v", body, err)
					}
				}
			})
		}
		wg.Wait()
		<-served
	})
}
