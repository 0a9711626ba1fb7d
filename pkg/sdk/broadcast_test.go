package sdk

import (
	"slices"
	"testing"
	"testing/synctest"

	"longlink/pkg/wire"
)

func cast(place uint16, seq uint64) []byte {
	return wire.AppendPush(nil, &wire.Push{Flags: wire.FlagBroadcast, Product: []byte("p"), Seq: seq, Place: place})
}

func TestBroadcastsAreSeenOncePerPlace(t *testing.T) {
	store := NewMemoryStore()
	inBubble(t, func(w *world, c *Config) { c.Store = store }, func(t *testing.T, w *world) {
		r := w.accept()
		r.hello()
		r.welcome(wire.Welcome{Features: wire.FeatureBroadcast})
		r.send(wire.AppendBound(nil, &wire.Bound{Product: "p", Base: 100}))
		for _, f := range [][]byte{cast(1, 90), cast(2, 120), cast(1, 110), cast(2, 120), cast(1, 130)} {
			r.send(f)
		}
		acked := map[uint16]uint64{}
		for acked[1] != 130 || acked[2] != 120 {
			a, err := wire.ParseAck(r.expect(wire.TypeAck).body)
			if err != nil || a.Flags != wire.FlagBroadcast {
				t.Fatalf("%+v %v", a, err)
			}
			acked[a.Place] = a.Seq
		}
		if got := w.seqs(); !slices.Equal(got, []uint64{120, 110, 130}) {
			t.Fatalf("handled %v", got)
		}
		r.close()
		r = w.accept()
		b := r.hello().Bindings[0]
		if !b.HasBase || b.Base != 100 || len(b.Seen) != 2 {
			t.Fatalf("%+v", b)
		}
		r.welcome(wire.Welcome{Features: wire.FeatureBroadcast})
		r.send(wire.AppendBound(nil, &wire.Bound{Product: "p", Base: 125}))
		synctest.Wait()
		if c := must(store.Load("d1")).Products["p"]; c.Base != 125 || len(c.Seen) != 1 || c.Seen[1] != 130 {
			t.Fatalf("stored %+v", c)
		}
	})
}

// A broadcast that the handler is retrying comes again on the next connection.
func TestReconnectWhileABroadcastIsRetried(t *testing.T) {
	var f *failing
	inBubble(t, func(w *world, c *Config) {
		f = &failing{w: w, seq: 120, n: 12}
		c.Handler = f.handle
	}, func(t *testing.T, w *world) {
		for i := range 2 {
			r := w.accept()
			r.hello()
			r.welcome(wire.Welcome{Features: wire.FeatureBroadcast})
			r.send(wire.AppendBound(nil, &wire.Bound{Product: "p", Base: 100}))
			r.send(cast(2, 120))
			r.send(cast(3, 119))
			synctest.Wait()
			if i == 0 {
				r.close()
				continue
			}
			r.expect(wire.TypeAck)
			r.expect(wire.TypeAck)
		}
		if got := w.seqs(); !slices.Equal(got, []uint64{120, 119}) {
			t.Fatalf("handled %v", got)
		}
	})
}
