package ledger

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// follow reads a partition from after to its head, page by page.
func follow(t *testing.T, l *Ledger, p Page) (all []*Up) {
	t.Helper()
	if p.Rows == 0 {
		p.Rows = 1000
	}
	if p.Bytes == 0 {
		p.Bytes = 1 << 20
	}
	head := heads(t, l)[p.Part]
	for pages := 0; p.After < head; pages++ {
		ups, read, err := l.ReadUpstream(t.Context(), p, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if read <= p.After || pages > 10000 {
			t.Fatalf("page after %d was read up to %d", p.After, read)
		}
		all, p.After = append(all, ups...), read
	}
	return all
}

func heads(t *testing.T, l *Ledger) map[int]uint64 {
	t.Helper()
	all := map[int]uint64{}
	if err := l.UpstreamHeads(t.Context(), func(part int, seq uint64) { all[part] = seq }); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestUpstreamPages(t *testing.T) {
	both(t, func(t *testing.T, o Options) {
		l := ready(t, o)
		var ups []*Up
		for i := range 5000 {
			u := up(9, fmt.Sprint("d", i%10), uint64(i+1))
			if i%2500 == 2499 {
				u.Product, u.Kind = "rare", "r"
			}
			if i%3 == 2 {
				u.ExpiresMS = time.Now().UnixMilli() - 1
			}
			ups = append(ups, u)
		}
		for part := range slices.Chunk(ups, 1000) {
			mustUp(t, l, part...)
		}
		live := 0
		for _, u := range ups {
			if u.ExpiresMS > time.Now().UnixMilli() {
				live++
			}
		}
		for _, rows := range []int{1000, 700, 1} {
			p := Page{Part: 9, Rows: rows}
			if rows == 1 {
				p.After = ups[4989].Seq
			}
			var want []uint64
			for _, u := range ups {
				if u.Seq > p.After && u.ExpiresMS > time.Now().UnixMilli() {
					want = append(want, u.UpID)
				}
			}
			var got []uint64
			for _, u := range follow(t, l, p) {
				got = append(got, u.UpID)
			}
			if !slices.Equal(got, want) {
				t.Fatalf("pages of %d: %d rows, want %d of %d", rows, len(got), len(want), live)
			}
		}
		// A filter passes over a bounded number of rows, and says how far it came.
		p := Page{Part: 9, Rows: 10, Bytes: 1 << 20, Product: "rare", Kind: "r"}
		got, read, err := l.ReadUpstream(t.Context(), p, time.Now())
		if err != nil || len(got) != 0 || read != ups[lookRows-1].Seq {
			t.Fatalf("%d rows, read to %d, want %d (%v)", len(got), read, ups[lookRows-1].Seq, err)
		}
		if all := follow(t, l, p); len(all) != 2 || all[0].UpID != 2500 || all[1].UpID != 5000 {
			t.Errorf("filtered: %+v", all)
		}
		if all := follow(t, l, Page{Part: 9, Product: "p", Kind: "r"}); len(all) != 0 {
			t.Errorf("filtered by both: %+v", all)
		}
		// At the head, beyond it, and where nothing ever was.
		for after, part := range map[uint64]int{ups[4999].Seq: 9, 1 << 62: 9, 5: 10} {
			if got, read, err := l.ReadUpstream(t.Context(), Page{Part: part, After: after, Rows: 1, Bytes: 1}, time.Now()); err != nil || len(got) != 0 || read != after {
				t.Errorf("after %d: %d rows, read to %d (%v)", after, len(got), read, err)
			}
		}
	})
}

// Bodies bound a page; a row that is larger than a page comes alone.
func TestUpstreamPageBytes(t *testing.T) {
	both(t, func(t *testing.T, o Options) {
		l := ready(t, o)
		var ups []*Up
		for i := range 100 {
			u := up(9, "d", uint64(i+1))
			u.Ext, u.Payload = make([]byte, 100), make([]byte, 300)
			if i == 80 {
				u.Payload = make([]byte, 9000)
			}
			ups = append(ups, u)
		}
		mustUp(t, l, ups...)
		var sizes []int
		p := Page{Part: 9, Rows: 1000, Bytes: 4000}
		for p.After < ups[99].Seq {
			got, read, err := l.ReadUpstream(t.Context(), p, time.Now())
			if err != nil || len(got) == 0 || read != got[len(got)-1].Seq {
				t.Fatalf("%d rows, read to %d (%v)", len(got), read, err)
			}
			sizes, p.After = append(sizes, len(got)), read
		}
		if want := []int{10, 10, 10, 10, 10, 10, 10, 10, 1, 10, 9}; !slices.Equal(sizes, want) {
			t.Errorf("pages of %v rows, want %v", sizes, want)
		}
	})
}
