package ledger

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// devices are those of an alias.
func devices(t *testing.T, l *Ledger, alias string) (all []string) {
	t.Helper()
	rows, err := l.AliasDevices(t.Context(), "p", alias, "", 5000)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		all = append(all, r.Device)
	}
	return all
}

func TestAliases(t *testing.T) {
	both(t, func(t *testing.T, o Options) {
		l := ready(t, o)
		ctx := t.Context()
		most := AliasLimits{Devices: 3, Aliases: 2}
		add := func(alias, device string, want AliasAdded) {
			t.Helper()
			if got, err := l.AddAlias(ctx, "p", alias, device, most); err != nil || got != want {
				t.Errorf("%s to %s: %v %v, want %v", device, alias, got, err, want)
			}
		}
		add("ada", "d2", AliasNew)
		add("ada", "d1", AliasNew)
		add("ada", "D1", AliasNew) // names have their case
		add("ada", "d1", AliasThere)
		add("ada", "d4", AliasFull)
		add("bob", "d1", AliasNew)
		add("eve", "d1", AliasMany)
		if got, err := l.AddAlias(ctx, "q", "eve", "d1", most); err != nil || got != AliasNew {
			t.Errorf("in another product: %v %v", got, err)
		}
		if got := devices(t, l, "ada"); !slices.Equal(got, []string{"D1", "d1", "d2"}) {
			t.Errorf("devices %v", got)
		}
		if page, err := l.AliasDevices(ctx, "p", "ada", "D1", 1); err != nil || len(page) != 1 || page[0].Device != "d1" || page[0].CreatedMS == 0 {
			t.Errorf("page %v %v", page, err)
		}
		for _, want := range []bool{true, false} {
			if got, err := l.RemoveAlias(ctx, "p", "ada", "d1"); err != nil || got != want {
				t.Errorf("removed %v %v, want %v", got, err, want)
			}
		}
		add("ada", "d4", AliasNew)
		add("eve", "d1", AliasNew)
	})
}

// Several savers add at once: the limits hold.
func TestAliasLimitsHoldTogether(t *testing.T) {
	both(t, func(t *testing.T, o Options) {
		ready(t, o)
		most := AliasLimits{Devices: 20, Aliases: 4}
		var wg sync.WaitGroup
		var failed atomic.Int64
		for w := range 4 {
			l := open(t, o)
			wg.Go(func() {
				for i := range 20 {
					if _, err := l.AddAlias(t.Context(), "p", "ada", fmt.Sprint("d", w, "-", i), most); err != nil {
						failed.Add(1)
						t.Log(err)
					}
					if _, err := l.AddAlias(t.Context(), "p", fmt.Sprint("a", w, "-", i), "d", most); err != nil {
						failed.Add(1)
						t.Log(err)
					}
				}
			})
		}
		wg.Wait()
		l := open(t, o)
		if n := len(devices(t, l, "ada")); n != 20 {
			t.Errorf("%d devices, want 20", n)
		}
		var n int
		if err := l.read.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM aliases WHERE device = 'd' AND product = 'p'").Scan(&n); err != nil || n != 4 {
			t.Errorf("%d aliases, %v", n, err)
		}
		if failed.Load() > 8 {
			t.Errorf("%d of 160 calls failed", failed.Load())
		}
	})
}

func TestClaims(t *testing.T) {
	both(t, func(t *testing.T, o Options) {
		l := ready(t, o)
		ctx := t.Context()
		now := time.Now().UnixMilli()
		claim := func(want int, all ...AliasClaim) {
			t.Helper()
			if full, err := l.Claim(ctx, all, 3); err != nil || len(full) != want {
				t.Errorf("%v: %v are full, %v", all, full, err)
			}
		}
		held := func(all ...AliasClaim) string {
			t.Helper()
			got, err := l.ClaimsHeld(ctx, all)
			if err != nil {
				t.Fatal(err)
			}
			return fmt.Sprint(got)
		}
		for _, d := range []string{"d1", "d2"} {
			if _, err := l.AddAlias(ctx, "p", "old", d, AliasLimits{9, 9}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := l.AddAlias(ctx, "q", "old", "d1", AliasLimits{9, 9}); err != nil {
			t.Fatal(err)
		}
		a := AliasClaim{"p", "d1", "ada", now + 10, false}
		b := AliasClaim{"p", "d2", "old", now + 10, false}
		if got := held(a, b, AliasClaim{"p", "d3", "ada", now, false}); got != "[false true false]" {
			t.Errorf("held %s", got)
		}
		claim(0, a, b)
		if got := held(a, b); got != "[true true]" {
			t.Errorf("held %s", got)
		}
		if got := fmt.Sprint(devices(t, l, "old"), devices(t, l, "ada")); got != "[d2] [d1]" {
			t.Errorf("devices %s", got)
		}
		if d, err := l.AliasDevices(ctx, "q", "old", "", 9); err != nil || len(d) != 1 {
			t.Errorf("the other product's: %v %v", d, err)
		}
		// A claim that comes late, after a younger login's.
		claim(0, AliasClaim{"p", "d1", "late", now + 5, true})
		if got := fmt.Sprint(devices(t, l, "late"), devices(t, l, "ada")); got != "[] [d1]" {
			t.Errorf("devices %s", got)
		}
		// Just now, by a host whose clock is behind.
		claim(0, AliasClaim{"p", "d1", "bob", now + 5, false}, AliasClaim{"p", "d2", "old", now + 5, false})
		claim(0, a)
		if got := fmt.Sprint(devices(t, l, "bob"), devices(t, l, "ada")); got != "[] [d1]" {
			t.Errorf("devices %s", got)
		}
		// The same again, with one alias beside it that the API set.
		if _, err := l.AddAlias(ctx, "p", "api", "d1", AliasLimits{9, 9}); err != nil {
			t.Fatal(err)
		}
		if got := held(a); got != "[false]" {
			t.Errorf("held %s", got)
		}
		claim(0, AliasClaim{"p", "d1", "ada", now + 5000, false})
		if got := fmt.Sprint(devices(t, l, "api"), devices(t, l, "ada")); got != "[] [d1]" {
			t.Errorf("devices %s", got)
		}
		// Full within a batch: who has no place has no other alias either.
		claim(1, AliasClaim{"p", "d2", "ada", now + 6000, false}, AliasClaim{"p", "d3", "ada", now + 6000, false}, AliasClaim{"p", "d4", "ada", now + 6000, false})
		if got := devices(t, l, "ada"); len(got) != 3 {
			t.Errorf("devices %v", got)
		}
		if got := devices(t, l, "old"); len(got) != 0 {
			t.Errorf("devices %v", got)
		}
		var many []AliasClaim
		for i := range 200 {
			many = append(many, AliasClaim{"p", fmt.Sprint("m", i), fmt.Sprint("u", i), now, false})
		}
		claim(0, many...)
		if got := held(many...); got != fmt.Sprint(slices.Repeat([]bool{true}, 200)) {
			t.Errorf("held %s", got)
		}
	})
}

// Savers claim for the same devices at once: each device ends with one alias.
func TestClaimsTogether(t *testing.T) {
	both(t, func(t *testing.T, o Options) {
		ready(t, o)
		var wg sync.WaitGroup
		for w := range 3 {
			l := open(t, o)
			wg.Go(func() {
				for i := range 20 {
					var all []AliasClaim
					for d := range 10 {
						all = append(all, AliasClaim{"p", fmt.Sprint("d", d), fmt.Sprint("u", w, "-", i), time.Now().UnixMilli(), false})
					}
					for try := 0; ; try++ {
						_, err := l.Claim(t.Context(), all, 1000)
						if err == nil {
							break
						}
						if try > 20 || !isDeadlock(err) {
							t.Error(err)
							break
						}
					}
				}
			})
		}
		wg.Wait()
		var rows, owners int
		if err := open(t, o).read.QueryRowContext(t.Context(), "SELECT COUNT(*), COUNT(DISTINCT device) FROM aliases").Scan(&rows, &owners); err != nil {
			t.Fatal(err)
		}
		if rows != 10 || owners != 10 {
			t.Errorf("%d aliases of %d devices, want one each of 10", rows, owners)
		}
	})
}
