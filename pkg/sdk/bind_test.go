package sdk

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"longlink/pkg/code"
	"longlink/pkg/wire"
)

func TestBindAndUnbind(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		r := w.accept()
		r.login()
		synctest.Wait()
		if err := w.client.Bind(Product{Name: "q", Tags: []string{"t"}}); err != nil {
			t.Fatal(err)
		}
		if b, err := wire.ParseBinding(r.expect(wire.TypeBind).body); err != nil || b.Product != "q" || b.Tags[0] != "t" {
			t.Fatalf("%+v %v", b, err)
		}
		r.bound("q", 0)
		r.push("q", 4)
		r.ackUpTo(4)
		w.client.Unbind("q")
		w.client.Unbind("p")
		r.expect(wire.TypeUnbind)
		r.expect(wire.TypeUnbind)
		if err := w.client.Bind(Product{Name: "q"}); err != nil {
			t.Fatal(err)
		}
		r.expect(wire.TypeBind)
		r.push("q", 5)                                                               // crossed the UNBIND
		r.send(wire.AppendBound(nil, &wire.Bound{Product: "q", Code: code.Unbound})) // answers the UNBIND
		r.bound("q", 4)
		r.push("q", 5)
		r.ackUpTo(5)
		// The server takes q off: it is not asked for again.
		r.send(wire.AppendBound(nil, &wire.Bound{Product: "q", Code: code.Unbound}))
		synctest.Wait()
		r.close()
		if h := w.accept().login(); len(h.Bindings) != 0 {
			t.Fatalf("bindings %+v", h.Bindings)
		}
	})
}

func TestSend(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		errs := make(chan error, 1)
		send := func() {
			go func() { errs <- w.client.Send(t.Context(), "p", "click", SendText, []byte("x")) }()
		}
		r := w.accept()
		r.login() // without FeatureUpstream
		send()
		assertRefused(t, <-errs, code.FailedPrecondition)
		r.close()

		r = w.accept()
		r.hello()
		r.welcome(wire.Welcome{Features: wire.FeatureUpstream})
		r.bound("p", 0)
		synctest.Wait()
		send()
		u1, err := wire.ParseUp(r.expect(wire.TypeUp).body)
		if err != nil || string(u1.Kind) != "click" || string(u1.Payload) != "x" {
			t.Fatalf("%+v %v", u1, err)
		}
		r.close() // before the answer: the same number comes again
		r = w.accept()
		r.hello()
		r.welcome(wire.Welcome{Features: wire.FeatureUpstream})
		u2, err := wire.ParseUp(r.expect(wire.TypeUp).body)
		if err != nil || u2.UpID != u1.UpID {
			t.Fatalf("up_id %d, then %d", u1.UpID, u2.UpID)
		}
		r.send(wire.AppendUpAck(nil, &wire.UpAck{UpID: u2.UpID}))
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
		send()
		u3, _ := wire.ParseUp(r.expect(wire.TypeUp).body)
		if u3.UpID <= u2.UpID {
			t.Fatalf("up_id %d after %d", u3.UpID, u2.UpID)
		}
		r.send(wire.AppendUpAck(nil, &wire.UpAck{UpID: u3.UpID, Code: code.Hold, RetryMS: 9000}))
		var ce *code.Error
		if err := <-errs; !errors.As(err, &ce) || ce.Code != code.Hold || ce.RetryMS() != 9000 {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := w.client.Send(ctx, "p", "click", 0, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
	})
}

// More bindings than fit into a HELLO follow as BIND frames.
func TestLongHelloIsSplit(t *testing.T) {
	inBubble(t, func(_ *world, c *Config) {
		c.Products = nil
		grant := string(bytes.Repeat([]byte("g"), 7000))
		for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
			c.Products = append(c.Products, Product{Name: name, Grant: grant})
		}
	}, func(t *testing.T, w *world) {
		r := w.accept()
		f := r.expect(wire.TypeHello)
		h, err := wire.ParseHello(f.body)
		if err != nil || len(f.body) > wire.DefaultMaxHello || len(h.Bindings) != 4 {
			t.Fatalf("HELLO of %d bytes with %d bindings, %v", len(f.body), len(h.Bindings), err)
		}
		r.welcome(wire.Welcome{})
		for range 2 {
			r.expect(wire.TypeBind)
		}
		for _, p := range w.client.cfg.Products {
			r.bound(p.Name, 0)
		}
		if got := w.log(); !slices.Equal(got, []string{"connected"}) {
			t.Fatalf("events %v", got)
		}
	})
}
