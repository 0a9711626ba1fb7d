package ledger

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"time"
)

func up(part uint16, device string, id uint64) *Up {
	now := time.Now().UnixMilli()
	return &Up{Part: part, Product: "p", Device: device, Kind: "k", UpID: id, ReceivedMS: now, ExpiresMS: now + time.Hour.Milliseconds(),
		Payload: []byte{0, 1, '\'', '"', '\\', 0xff}}
}

func mustUp(t *testing.T, l *Ledger, ups ...*Up) {
	t.Helper()
	if err := l.AppendUpstream(t.Context(), ups, time.Now()); err != nil {
		t.Fatal(err)
	}
}

func TestUpstreamComesBackAsItWas(t *testing.T) {
	both(t, func(t *testing.T, o Options) {
		l := ready(t, o)
		full := up(3, "d", math.MaxUint64)
		full.Class, full.Epoch, full.Flags, full.RequestID, full.Ext = 2, 1<<63-1, 255, "r", []byte("ext")
		bare := up(255, "D", 1)
		bare.Payload = nil
		mustUp(t, l, full, bare)
		for _, want := range []*Up{full, bare} {
			all := follow(t, l, Page{Part: int(want.Part)})
			if len(all) != 1 || all[0].Seq == 0 || !bytes.Equal(all[0].Payload, want.Payload) || !bytes.Equal(all[0].Ext, want.Ext) {
				t.Fatalf("got %+v", all)
			}
			got, w := *all[0], *want
			got.Payload, got.Ext, w.Payload, w.Ext = nil, nil, nil, nil
			if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", w) {
				t.Errorf("got  %+v\nwant %+v", got, w)
			}
		}
		if h := heads(t, l); len(h) != 2 || h[3] != full.Seq || h[255] != bare.Seq {
			t.Errorf("heads %v", h)
		}
		if err := l.AppendUpstream(t.Context(), nil, time.Now()); err != nil {
			t.Error(err)
		}
	})
}

// The same (device, product, up_id) is the same data: in one group, later,
// after a restart, and also the largest up_ids.
func TestUpstreamIsStoredOnce(t *testing.T) {
	both(t, func(t *testing.T, o Options) {
		l := ready(t, o)
		first, again := up(3, "d", 7), up(3, "d", 7)
		other, device := up(3, "d", 7), up(3, "D", 7)
		other.Product = "q"
		big, bigger := up(3, "d", math.MaxUint64-1), up(3, "d", math.MaxUint64)
		mustUp(t, l, first, again, other, device, big, bigger)
		if first.Duplicate || !again.Duplicate || again.Seq != first.Seq || other.Duplicate || device.Duplicate || bigger.Duplicate {
			t.Fatalf("in a group: %+v %+v %+v %+v", first, again, other, device)
		}
		if other.Seq != first.Seq+1 || device.Seq != first.Seq+2 {
			t.Errorf("seqs %d %d %d", first.Seq, other.Seq, device.Seq)
		}
		l = open(t, o) // another life
		late, fresh, lateBig := up(3, "d", 7), up(3, "d", 8), up(3, "d", math.MaxUint64)
		mustUp(t, l, late, fresh, lateBig)
		if !late.Duplicate || late.Seq != first.Seq || fresh.Duplicate || fresh.Seq <= bigger.Seq || !lateBig.Duplicate || lateBig.Seq != bigger.Seq {
			t.Fatalf("later: %+v %+v %+v", late, fresh, lateBig)
		}
		// Nothing but duplicates moves no head.
		mustUp(t, l, up(3, "d", 7))
		if h := heads(t, l)[3]; h != fresh.Seq {
			t.Errorf("head %d, want %d", h, fresh.Seq)
		}
		if n := len(follow(t, l, Page{})); n != 0 {
			t.Errorf("%d rows in another partition", n)
		}
		if n := len(follow(t, l, Page{Part: 3})); n != 6 {
			t.Errorf("%d rows, want 6", n)
		}
	})
}

// A clock that was set back, here by a day, gives no seq twice.
func TestUpstreamSeqRisesOverClocks(t *testing.T) {
	both(t, func(t *testing.T, o Options) {
		l := ready(t, o)
		now := time.Now()
		a, b, c := up(3, "d", 1), up(3, "d", 2), up(3, "d", 3)
		for i, at := range []time.Time{now, now.Add(-24 * time.Hour), now.Add(time.Second)} {
			if err := l.AppendUpstream(t.Context(), []*Up{[]*Up{a, b, c}[i]}, at); err != nil {
				t.Fatal(err)
			}
		}
		if a.Seq != uint64(now.UnixMicro()) || b.Seq != a.Seq+1 || c.Seq != uint64(now.Add(time.Second).UnixMicro()) {
			t.Errorf("seqs %d %d %d at %d", a.Seq, b.Seq, c.Seq, now.UnixMicro())
		}
	})
}

func TestUpstreamManyRowsOfAllParts(t *testing.T) {
	both(t, func(t *testing.T, o Options) {
		l := ready(t, o)
		var ups []*Up
		for i := range 1024 {
			u := up(uint16(i*7%UpParts), fmt.Sprint("d", i%UpParts), uint64(i+1))
			u.Payload = bytes.Repeat([]byte{'x'}, 9000)
			ups = append(ups, u)
		}
		mustUp(t, l, ups...)
		if h := heads(t, l); len(h) != UpParts {
			t.Fatalf("%d heads", len(h))
		}
		for part := range UpParts {
			var want, got []uint64
			for _, u := range ups {
				if int(u.Part) == part {
					want = append(want, u.UpID)
				}
			}
			for _, u := range follow(t, l, Page{Part: part}) {
				got = append(got, u.UpID)
			}
			if !slices.Equal(got, want) {
				t.Fatalf("part %d: %v, want %v", part, got, want)
			}
		}
	})
}

// Two savers take the same data at the same time, again and again: it is stored
// once, and both learn the same seq. Half of the parts are new to the ledger
// when both come.
func TestUpstreamOfTwoSaversAtOnce(t *testing.T) {
	both(t, func(t *testing.T, o Options) {
		a, b := ready(t, o), open(t, o)
		for round := range 20 {
			var sides [2][]*Up
			for side := range sides {
				for i := range 40 {
					sides[side] = append(sides[side], up(uint16(round*4+i%8), fmt.Sprint("d", i), uint64(round+1)))
				}
			}
			slices.Reverse(sides[1])
			var wg sync.WaitGroup
			for side, l := range []*Ledger{a, b} {
				wg.Go(func() {
					if err := l.AppendUpstream(t.Context(), sides[side], time.Now()); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			slices.Reverse(sides[1])
			fresh := 0
			for i, u := range sides[0] {
				v := sides[1][i]
				if u.Seq != v.Seq || u.Duplicate == v.Duplicate {
					t.Fatalf("round %d: %+v and %+v", round, u, v)
				}
				if !u.Duplicate {
					fresh++
				}
			}
			t.Logf("round %d: the first saver stored %d of 40", round, fresh)
		}
		n := 0
		if err := a.read.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM upstream").Scan(&n); err != nil || n != 20*40 {
			t.Errorf("%d rows, %v", n, err)
		}
	})
}

// A transaction that fails half way, or panics, leaves nothing and no lock.
func TestUpstreamAllOrNothing(t *testing.T) {
	both(t, func(t *testing.T, o Options) {
		l := ready(t, o)
		bad := up(3, "d", 2)
		bad.Product = string(bytes.Repeat([]byte{'x'}, 65)) // the checks are saver's
		if !l.partitioned {
			if _, err := l.write.ExecContext(t.Context(), "CREATE TRIGGER long_product BEFORE INSERT ON upstream WHEN LENGTH(NEW.product) > 64 BEGIN SELECT RAISE(ABORT, 'too long'); END"); err != nil {
				t.Fatal(err)
			}
		}
		good := up(3, "d", 1)
		mustUp(t, l, up(3, "other", 1))
		if err := l.AppendUpstream(t.Context(), []*Up{good, bad}, time.Now()); err == nil {
			t.Fatal("a product of 65 characters was taken")
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			if err := l.inTx(t.Context(), func(tx *sql.Tx) error {
				if err := l.appendUpstream(t.Context(), tx, []*Up{good}, []uint16{3}, time.Now()); err != nil {
					return err
				}
				panic("in the middle")
			}); err != nil {
				t.Error(err)
			}
		}()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := l.AppendUpstream(ctx, []*Up{good}, time.Now()); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		mustUp(t, l, good)
		if good.Duplicate {
			t.Error("the failed transaction stored it")
		}
		if n := len(follow(t, l, Page{Part: 3})); n != 2 {
			t.Errorf("%d rows", n)
		}
	})
}

func TestUpstreamDaysGoAway(t *testing.T) {
	both(t, func(t *testing.T, o Options) {
		l := ready(t, o)
		now := time.Now()
		var ups []*Up
		for i, ttl := range []time.Duration{-24 * time.Hour, time.Hour, 48 * time.Hour} {
			u := up(3, "d", uint64(i+1))
			u.ExpiresMS = now.Add(ttl).UnixMilli()
			ups = append(ups, u)
		}
		mustUp(t, l, ups...)
		for days, want := range []int{3, 2, 1, 1, 0, 0} {
			at := now.Add(time.Duration(days) * 24 * time.Hour)
			if err := errors.Join(l.Prepare(t.Context(), at), l.Clean(t.Context(), at)); err != nil {
				t.Fatal(err)
			}
			n := 0
			if err := l.read.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM upstream").Scan(&n); err != nil {
				t.Fatal(err)
			}
			// A row of tomorrow's first hour may be a day later.
			if n != want && n != want+1 {
				t.Errorf("after %d days: %d rows, want %d", days, n, want)
			}
		}
		// The head stays, so no seq is given out again; what has gone may come again.
		again := up(3, "d", 1)
		again.ExpiresMS = now.Add(6 * 24 * time.Hour).UnixMilli()
		if mustUp(t, l, again); again.Duplicate || again.Seq <= ups[2].Seq {
			t.Errorf("%+v after %d", again, ups[2].Seq)
		}
		if all := follow(t, l, Page{Part: 3}); len(all) != 1 {
			t.Errorf("%d rows", len(all))
		}
	})
}
