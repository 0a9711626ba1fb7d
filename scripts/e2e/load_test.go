package e2e

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"longlink/pkg/lifecycle"
)

// Sizes of the load test.
const (
	loadDevices = 500
	loadPushes  = 10000
	loadRate    = 600 // pushes per second at most, so that the drops have time to happen
	dropPercent = 5   // of the devices lose their connection each second
)

// TestLoad: 500 devices in three products, 10,000 pushes, 5 % of the devices
// losing their connection each second: every message acknowledged, none lost,
// none seen twice by the app, order kept per lane.
func TestLoad(t *testing.T) {
	topologies(t, func(t *testing.T, g *Gateway) {
		g.Start()
		products := []string{"alpha", "beta", "gamma"}
		tr := NewTraffic(t, []string{g.Center()}, g.OpKey, []string{g.Dispatcher()}, products, "load", loadDevices)
		t.Logf("seed %d", *seed)
		for _, p := range products {
			product(t, g, p)
		}
		ctx, cancel := context.WithCancel(t.Context())
		group := lifecycle.NewGroup(ctx, nil, nil)
		tr.StartDevices(group)
		dctx, stopDropping := context.WithCancel(ctx)
		dropped := make(chan int)
		go func() { dropped <- drop(dctx, tr) }()
		start := time.Now()
		tr.Push(ctx, loadPushes, loadRate, *seed)
		took := time.Since(start)
		tr.AwaitAll(90 * time.Second)
		stopDropping()
		n := <-dropped
		pendingGone(t, g.API(), tr.IDs()...)
		cancel()
		if err := group.Wait(); err != nil {
			t.Error(err)
		}
		tr.Check()
		t.Logf("%d pushes in %s (%d sent at once), %d connections cut, %d logins, %d duplicates dropped by the SDK",
			tr.Pushes(), took.Round(time.Millisecond), tr.Sent(), n, tr.connects.Load(), tr.Duplicates())
		g.Stop()
	})
}

// drop cuts 5 % of the connections each second, half of them with a reset.
func drop(ctx context.Context, tr *Traffic) (cut int) {
	rng := rand.New(rand.NewPCG(*seed, 1))
	tick := time.NewTicker(time.Second * 100 / (dropPercent * loadDevices))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return cut
		case <-tick.C:
		}
		if tr.Cut(rng.IntN(loadDevices), rng.IntN(2) == 0) {
			cut++
		}
	}
}
