package lane

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// Whatever is taken out, the lane keeps its order, its sums and its expiry.
func TestRemove(t *testing.T) {
	e, _, c := served(t)
	r := RefOf("shop", "d")
	for round := range 40 {
		var items []AppendItem
		for i := range 8 {
			items = append(items, AppendItem{Ref: r, ID: "m", ExpiresMS: time.Now().Add(time.Hour).UnixMilli(), Body: make([]byte, 100*(i+1))})
		}
		out, err := c.Append(t.Context(), items)
		if err != nil {
			t.Fatal(err)
		}
		var left []uint64
		var gone []Cursor
		for i, a := range out {
			if a.Status != Done {
				t.Fatalf("round %d: append %d: %+v", round, i, a)
			}
			if rand.IntN(2) == 0 {
				left = append(left, a.Seq)
			} else {
				gone = append(gone, Cursor{r, a.Seq})
			}
		}
		rand.Shuffle(len(gone), func(i, j int) { gone[i], gone[j] = gone[j], gone[i] })
		gone = append(gone, Cursor{r, out[0].Seq - 1}, Cursor{r, out[7].Seq + 1}, Cursor{RefOf("shop", "nobody"), out[0].Seq})
		for try := range 2 {
			found, err := c.Remove(t.Context(), gone)
			if err != nil {
				t.Fatal(err)
			}
			for i, f := range found {
				if f.Status != Done || f.Found != (try == 0 && i < len(gone)-3) {
					t.Fatalf("round %d, try %d: %d is %+v", round, try, i, f)
				}
			}
		}
		page, err := c.Load(t.Context(), []LoadItem{{Ref: r, MaxMessages: 100, MaxBytes: 1 << 20}})
		if err != nil {
			t.Fatal(err)
		}
		var got []uint64
		var bytes int
		for _, m := range page[0].Elements {
			got = append(got, m.Seq)
			bytes += len(m.Body)
		}
		if !slices.Equal(got, left) {
			t.Fatalf("round %d: holds %v, want %v", round, got, left)
		}
		// The sums are right: exactly what is free by bytes goes in. A message of
		// one byte more does not.
		full := AppendItem{Ref: r, ID: "m", ExpiresMS: time.Now().Add(time.Hour).UnixMilli(), Body: make([]byte, 10000-bytes+1)}
		if a, err := c.Append(t.Context(), []AppendItem{full}); err != nil || a[0].Status != Full {
			t.Fatalf("round %d: a byte too many: %+v %v", round, a, err)
		}
		full.Body = full.Body[1:]
		a, err := c.Append(t.Context(), []AppendItem{full})
		if err != nil || a[0].Status != Done {
			t.Fatalf("round %d: %d bytes are free: %+v %v", round, len(full.Body), a, err)
		}
		if ttl := e.server.TTL(r.Key()); ttl < time.Hour {
			t.Fatalf("round %d: the lane lives for %s", round, ttl)
		}
		if _, err := c.Ack(t.Context(), []Cursor{{r, a[0].Seq}}); err != nil {
			t.Fatal(err)
		}
	}
}

// A slot that does not serve is left alone, and its neighbour in the call is not.
func TestRemoveWhereNothingServes(t *testing.T) {
	e, _, c := served(t)
	a, b := RefOf("shop", "a"), RefOf("shop", "b")
	var seqs []uint64
	for _, r := range []Ref{a, b} {
		out, err := c.Append(t.Context(), []AppendItem{{Ref: r, ID: "m", ExpiresMS: time.Now().Add(time.Hour).UnixMilli(), Body: []byte("x")}})
		if err != nil {
			t.Fatal(err)
		}
		seqs = append(seqs, out[0].Seq)
	}
	e.server.Del(GenKey(a.Slot))
	out, err := c.Remove(t.Context(), []Cursor{{a, seqs[0]}, {b, seqs[1]}})
	if err != nil || fmt.Sprint(out) != fmt.Sprint([]Removed{{NotReady, false}, {Done, true}}) {
		t.Fatalf("%+v %v", out, err)
	}
	if n, err := e.server.List(a.Key()); err != nil || len(n) != 1 {
		t.Errorf("the lane of the slot that does not serve: %q %v", n, err)
	}
}
