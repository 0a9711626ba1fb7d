package e2e

import (
	"context"
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"longlink/pkg/cluster"
	"longlink/pkg/lifecycle"
	"longlink/scripts/clusterctl/local"
)

// Sizes of the test with kills.
const (
	killDevices = 1000
	killPushes  = 20000
	killRate    = 320 // pushes per second at most: a kill every eight seconds
)

var (
	killOrder = flag.String("kill-order", "keeper,saver,register,coordinator,center,room,dispatcher", "services that the test with kills kills, in turn")
	killDown  = flag.Duration("kill-down", 3*time.Second, "from a kill to the next start")
)

// kills: 1,000 devices in three products, 20,000 pushes, while one of each
// service in turn is killed (SIGKILL) and comes back after three seconds: none
// lost, none seen twice by the app, order kept per lane. What a process left in
// a lane when it died between append and deliver is brought by the sweep: no
// device has to log in again for it.
func kills(t *testing.T, nodes *local.Cluster) {
	api, key := operator(t, nodes)
	tr := NewTraffic(t, addresses(nodes, cluster.Center), key, addresses(nodes, cluster.Dispatcher), clusterProducts, "kill", killDevices)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	group := lifecycle.NewGroup(ctx, nil, nil)
	begin := time.Now()
	tr.StartDevices(group)
	t.Logf("%d devices connected in %s; seed %d", killDevices, brief(time.Since(begin)), *seed)

	pushing := make(chan struct{})
	go func() {
		defer close(pushing)
		tr.Push(ctx, killPushes, killRate, *seed)
	}()
	periods := killEachKind(t, nodes, tr, pushing)
	<-pushing
	tr.AwaitAll(60 * time.Second)
	pendingGone(t, api, tr.IDs()...)
	t.Logf("%d pushes, %d logins, %d duplicates dropped by the SDK\n%s",
		tr.Pushes(), tr.connects.Load(), tr.Duplicates(), tr.Waits(periods))
	cancel()
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
	tr.Check()
}

// killEachKind kills the instances while the pushes go on, evenly over them, and
// returns the periods; the first is before all kills.
func killEachKind(t *testing.T, nodes *local.Cluster, tr *Traffic, pushing <-chan struct{}) []Period {
	t.Helper()
	periods := []Period{{Name: "before"}}
	order := strings.Split(*killOrder, ",")
	for i, kind := range order {
		await(t, "the pushes to get on", 120*time.Second, func() error {
			select {
			case <-pushing:
				t.Fatalf("the pushes ended before %s was killed", kind)
			default:
			}
			if n, want := tr.Pushes(), killPushes*(i+1)/(len(order)+1); n < want {
				return fmt.Errorf("%d of %d before the next kill", n, want)
			}
			return nil
		})
		n := 1 + i%2
		if err := nodes.Kill(kind, n); err != nil {
			t.Fatal(err)
		}
		periods = append(periods, Period{Name: kind, Begin: time.Now()})
		<-time.After(*killDown)
		ctx, cancel := context.WithTimeout(t.Context(), startLimit)
		begin := time.Now()
		err := nodes.Start(ctx, kind, n)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s-%d was killed and is back; its start took %s", kind, n, brief(time.Since(begin)))
	}
	return periods
}
