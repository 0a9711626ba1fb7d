package sdk

import (
	"bytes"
	"slices"
	"testing"
	"testing/synctest"

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
