package sdk

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"

	"longlink/pkg/wire"
)

func TestBoundOverridesCursor(t *testing.T) {
	store := NewMemoryStore()
	if err := store.Save("d1", State{Products: map[string]Cursor{"p": {Seq: 50}}}); err != nil {
		t.Fatal(err)
	}
	inBubble(t, func(w *world, c *Config) { c.Store = store }, func(t *testing.T, w *world) {
		r := w.accept()
		if h := r.hello(); h.Bindings[0].Cursor != 50 {
			t.Fatalf("cursor %d", h.Bindings[0].Cursor)
		}
		r.welcome(wire.Welcome{})
		r.bound("p", 20) // cut: the server never gave 50
		synctest.Wait()
		if s, _ := store.Load("d1"); s.Products["p"].Seq != 20 {
			t.Fatalf("stored %d after the cut", s.Products["p"].Seq)
		}
		r.push("p", 30)
		r.ackUpTo(30)
		r.close()
		r = w.accept()
		r.hello()
		r.welcome(wire.Welcome{})
		r.bound("p", 90) // raised: the server knows of more
		r.push("p", 80, 91)
		r.ackUpTo(91)
		if got := w.seqs(); !slices.Equal(got, []uint64{30, 91}) {
			t.Fatalf("handled %v", got)
		}
	})
}

// A cut brings back a seq that the handler holds at that moment.
func TestCutWhileHandlerRuns(t *testing.T) {
	hold := make(chan struct{})
	inBubble(t, func(w *world, c *Config) {
		c.Handler = func(ctx context.Context, m Message) error {
			if m.Seq == 12 {
				<-hold
			}
			return w.handle(ctx, m)
		}
	}, func(t *testing.T, w *world) {
		hold = make(chan struct{})
		r := w.accept()
		r.hello()
		r.welcome(wire.Welcome{})
		r.bound("p", 10)
		r.push("p", 12)
		synctest.Wait()
		r.close()
		r = w.accept()
		r.hello()
		r.welcome(wire.Welcome{})
		r.bound("p", 5)
		r.push("p", 12, 13)
		synctest.Wait()
		close(hold)
		r.ackUpTo(13)
		if got := w.seqs(); !slices.Equal(got, []uint64{12, 13}) {
			t.Fatalf("handled %v", got)
		}
	})
}

func TestRaiseAbandonsARetry(t *testing.T) {
	var f *failing
	inBubble(t, func(w *world, c *Config) {
		f = &failing{w: w, seq: 2, n: 1 << 30}
		c.Handler = f.handle
	}, func(t *testing.T, w *world) {
		r := w.accept()
		r.login()
		r.push("p", 2, 3)
		synctest.Wait()
		r.close()
		r = w.accept()
		r.hello()
		r.welcome(wire.Welcome{})
		r.bound("p", 2) // the server gave up on 2
		r.push("p", 3)
		r.ackUpTo(3)
		if got := w.seqs(); !slices.Equal(got, []uint64{3}) {
			t.Fatalf("handled %v", got)
		}
	})
}

// A BIND with new tags is answered with what the room has acknowledged, which
// may be less than what the device has stored: that is no cut.
func TestBoundOfABoundProductDoesNotCut(t *testing.T) {
	store := NewMemoryStore()
	inBubble(t, func(_ *world, c *Config) { c.Store = store }, func(t *testing.T, w *world) {
		r := w.accept()
		r.login()
		r.push("p", 10, 11)
		r.ackUpTo(11)
		if err := w.client.Bind(Product{Name: "p", Tags: []string{"beta"}}); err != nil {
			t.Fatal(err)
		}
		r.expect(wire.TypeBind)
		r.bound("p", 9)
		r.push("p", 10, 12)
		r.ackUpTo(12)
		if got := w.seqs(); !slices.Equal(got, []uint64{10, 11, 12}) {
			t.Fatalf("handled %v", got)
		}
	})
}

// A Save that began before the cut must not let an ACK of the old position go.
func TestCutDuringASave(t *testing.T) {
	g := &gateStore{MemoryStore: NewMemoryStore()}
	inBubble(t, func(_ *world, c *Config) { c.Store = g }, func(t *testing.T, w *world) {
		r := w.accept()
		r.hello()
		r.welcome(wire.Welcome{})
		r.bound("p", 10)
		synctest.Wait()
		gate := make(chan struct{})
		g.shut(gate)
		r.push("p", 12)
		synctest.Wait()
		r.close()
		r = w.accept()
		if h := r.hello(); h.Bindings[0].Cursor != 10 {
			t.Fatalf("cursor %d", h.Bindings[0].Cursor)
		}
		r.welcome(wire.Welcome{})
		r.bound("p", 5)
		synctest.Wait()
		g.shut(nil)
		close(gate)
		synctest.Wait()
		r.push("p", 6)
		r.ackUpTo(6)
		if c := must(g.Load("d1")).Products["p"]; c.Seq != 6 {
			t.Fatalf("stored %d", c.Seq)
		}
	})
}
