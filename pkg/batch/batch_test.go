package batch

import (
	"context"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"longlink/pkg/lifecycle"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type item struct {
	key uint64
	n   int
}

func TestOrderPerKeyAndFlush(t *testing.T) {
	var mu sync.Mutex
	last := map[uint64]int{}
	total := 0
	q := New(Config{Target: "test", Workers: 3, Limit: 30000, Max: 16}, NewMetrics(prometheus.NewRegistry()),
		func(_ context.Context, _ int, items []item) {
			mu.Lock()
			defer mu.Unlock()
			if len(items) > 16 {
				t.Errorf("batch of %d", len(items))
			}
			for _, it := range items {
				if it.n != last[it.key]+1 {
					t.Errorf("key %d: %d after %d", it.key, it.n, last[it.key])
				}
				last[it.key] = it.n
				total++
			}
		}, func([]item) { t.Error("dropped") })
	g := lifecycle.NewGroup(t.Context(), nil, nil)
	q.Run(g.Context(), g)
	for n := 1; n <= 500; n++ {
		for k := range uint64(10) {
			if !q.Put(k, item{k, n}) {
				t.Fatal("full")
			}
		}
	}
	if err := q.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if total != 5000 {
		t.Errorf("%d items done after Flush", total)
	}
	g.Cancel()
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
}

func TestFullRefusesAndStopDrops(t *testing.T) {
	release := make(chan struct{})
	started := make(chan struct{}, 1)
	var dropped []int
	q := New(Config{Target: "test", Workers: 1, Limit: 2, Max: 1}, NewMetrics(prometheus.NewRegistry()),
		func(context.Context, int, []int) { started <- struct{}{}; <-release },
		func(items []int) { dropped = append(dropped, items...) })
	g := lifecycle.NewGroup(t.Context(), nil, nil)
	q.Run(g.Context(), g)
	q.Put(0, 1)
	<-started
	if !q.Put(0, 2) || !q.Put(0, 3) || q.Put(0, 4) {
		t.Error("the limit of 2 did not hold")
	}
	g.Cancel()
	close(release)
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if len(dropped) != 2 || q.Put(0, 5) {
		t.Errorf("dropped %v; Put after the end must refuse", dropped)
	}
}
