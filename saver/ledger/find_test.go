package ledger

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

func TestRecallByID(t *testing.T) {
	both(t, func(t *testing.T, o Options) {
		l := ready(t, o)
		ctx := t.Context()
		var rows []Row
		for i := range 450 { // several statements
			r := row(uint64(1000+i), time.Hour)
			r.ID, r.Device = "x", fmt.Sprint("d", i)
			rows = append(rows, r)
		}
		rows[1].Product = "q"
		other := row(5000, time.Hour)
		if err := l.Commit(ctx, []Batch{{Fresh: rows}, {Fresh: []Row{other}}}); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(l.SaveCursors(ctx, []Cursor{{7, "p", "d2", 1002}}), l.Void(ctx, []Key{rows[0].Key()}, nil)); err != nil {
			t.Fatal(err)
		}
		find := func(product string, most int) (all []Found) {
			all, err := l.ByID(ctx, "x", product, most)
			if err != nil {
				t.Fatal(err)
			}
			slices.SortFunc(all, func(a, b Found) int { return int(a.Seq) - int(b.Seq) })
			return all
		}
		all := find("", 1000)
		if len(all) != 450 || len(find("p", 1000)) != 449 || len(find("q", 1000)) != 1 || len(find("", 3)) != 3 {
			t.Fatalf("%d rows", len(all))
		}
		if all[2].Cursor != 1002 || all[3].Cursor != 0 || all[0].State != Void || all[0].StateMS == 0 || all[3].Key() != rows[3].Key() {
			t.Errorf("%+v", all[:4])
		}
		var live []Key
		for _, f := range all {
			live = append(live, f.Key())
		}
		slices.Reverse(live)
		// Two savers at once, and what is not live stays as it is.
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				if err := l.Recall(ctx, "x", live, nil); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		before := find("", 1000)
		for i, f := range before {
			if want := Recalled; f.State != want && i > 0 || i == 0 && f.State != Void {
				t.Fatalf("row %d: %v", i, f.State)
			}
		}
		if state(t, l, 5000) != Live {
			t.Error("another push was recalled")
		}
		// The time of the mark is renewed, or a rebuild on an old copy would not
		// read it.
		for time.Now().UnixMilli() <= before[1].StateMS+1 {
			<-time.After(time.Millisecond)
		}
		if err := l.Recall(ctx, "x", nil, live); err != nil {
			t.Fatal(err)
		}
		if after := find("", 1000); after[1].StateMS <= before[1].StateMS || after[0].StateMS != before[0].StateMS {
			t.Errorf("%+v, before %+v", after[:2], before[:2])
		}
	})
}
