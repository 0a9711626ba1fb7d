package e2e

import (
	"bufio"
	"context"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"longlink/pkg/cluster"
	"longlink/pkg/lifecycle"
	"longlink/scripts/clusterctl/local"
)

// Sizes of the tests of the sweep.
const (
	sweepDevices  = 200
	sweepAway     = 8 * time.Second // the register is away
	sweepAwayPush = 300             // meanwhile
	sweepBurst    = 3000            // pushes, in the middle of which processes die
)

// TestSweep: what was accepted reaches the devices that stayed connected, also
// when nobody was left to deliver it: without a reconnect, within seconds.
func TestSweep(t *testing.T) {
	nodes := Nodes(t, binary, 1)
	api, key := operator(t, nodes)
	for _, p := range clusterProducts {
		if _, err := api.CreateProduct(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	run := func(name, prefix string, body func(ctx context.Context, t *testing.T, tr *Traffic)) {
		t.Run(name, func(t *testing.T) {
			tr := NewTraffic(t, addresses(nodes, cluster.Center), key, addresses(nodes, cluster.Dispatcher), clusterProducts, prefix, sweepDevices)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			group := lifecycle.NewGroup(ctx, nil, nil)
			tr.StartDevices(group)
			body(ctx, t, tr)
			tr.AwaitAll(15 * time.Second)
			pendingGone(t, api, tr.IDs()...)
			if n := tr.connects.Load(); n != sweepDevices {
				t.Errorf("%d logins of %d devices: some have reconnected", n, sweepDevices)
			}
			cancel()
			if err := group.Wait(); err != nil {
				t.Error(err)
			}
			tr.Check()
			t.Logf("%s", strings.Join(sweptOf(t, nodes), "\n"))
		})
	}
	run("the register is away", "away", func(ctx context.Context, t *testing.T, tr *Traffic) {
		restart(t, nodes, sweepAway, func() {
			tr.Push(ctx, sweepAwayPush, float64(sweepAwayPush)/(sweepAway.Seconds()-2), *seed)
		}, cluster.Register)
		if n := tr.Sent(); n > 0 {
			t.Errorf("%d pushes were answered sent while the register was away", n)
		}
		began := time.Now()
		tr.AwaitAll(15 * time.Second)
		t.Logf("all %d messages had arrived %s after the register was ready again", tr.Pushes(), brief(time.Since(began)))
	})
	run("center dies in a burst", "center", func(ctx context.Context, t *testing.T, tr *Traffic) {
		burst(ctx, t, nodes, tr, cluster.Center)
	})
	run("center dies before it delivers", "center2", func(ctx context.Context, t *testing.T, tr *Traffic) {
		undelivered(ctx, t, nodes, tr, cluster.Center)
	})
	run("saver and center die before they deliver", "both", func(ctx context.Context, t *testing.T, tr *Traffic) {
		undelivered(ctx, t, nodes, tr, cluster.Saver, cluster.Center)
	})
	if err := nodes.StopAll(); err != nil {
		t.Error(err)
	}
}

// burst pushes as fast as it goes and kills the kinds in the middle.
func burst(ctx context.Context, t *testing.T, nodes *local.Cluster, tr *Traffic, kinds ...cluster.Kind) {
	pushing := make(chan struct{})
	go func() {
		defer close(pushing)
		tr.Push(ctx, sweepBurst, 100000, *seed)
	}()
	await(t, "half of the burst", 60*time.Second, func() error {
		if tr.Pushes() < sweepBurst/2 {
			return context.DeadlineExceeded
		}
		return nil
	})
	began := time.Now()
	before := len(tr.Missing())
	restart(t, nodes, time.Second, func() {}, kinds...)
	<-pushing
	tr.AwaitAll(20 * time.Second)
	var worst time.Duration
	tr.each(func(_ *lane, _ int, p *pushed) {
		if p.answered.Before(began) {
			worst = max(worst, p.seen.Sub(began))
		}
	})
	t.Logf("at the kill %d pushes were under way or not seen; of the answered ones the last came %s after it", before, brief(worst))
}

// undelivered pushes while the register stands still, so that center can locate
// nobody, and kills the kinds before it goes on.
func undelivered(ctx context.Context, t *testing.T, nodes *local.Cluster, tr *Traffic, kinds ...cluster.Kind) {
	register := nodes.Of(cluster.Register)[0]
	if err := register.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	tr.Push(ctx, sweepAwayPush, 100000, *seed)
	if n := len(tr.Missing()); n < sweepAwayPush*9/10 { // some thread of it may have run on for a moment
		t.Errorf("only %d of %d pushes are not delivered while the register stands still", n, sweepAwayPush)
	}
	restart(t, nodes, 500*time.Millisecond, func() {
		if err := register.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
	}, kinds...)
	began := time.Now()
	tr.AwaitAll(20 * time.Second)
	t.Logf("all %d messages had arrived %s after everybody was ready again", tr.Pushes(), brief(time.Since(began)))
}

// restart kills the kinds, does something, and starts them again no sooner than
// after `away`.
func restart(t *testing.T, nodes *local.Cluster, away time.Duration, do func(), kinds ...cluster.Kind) {
	t.Helper()
	for _, k := range kinds {
		if err := nodes.Kill(string(k), 1); err != nil {
			t.Fatal(err)
		}
	}
	back := time.After(away)
	do()
	<-back
	ctx, cancel := context.WithTimeout(t.Context(), startLimit)
	defer cancel()
	for _, k := range kinds {
		if err := nodes.Start(ctx, string(k), 1); err != nil {
			t.Fatal(err)
		}
	}
}

// sweptOf is what the saver's sweep has counted.
func sweptOf(t *testing.T, nodes *local.Cluster) (out []string) {
	t.Helper()
	res, err := http.Get("http://" + nodes.Of(cluster.Saver)[0].Ops() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "longlink_saver_sweep_") {
			out = append(out, lines.Text())
		}
	}
	if len(out) == 0 {
		t.Error("the saver's metrics show no sweep")
	}
	return out
}
