package e2e

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"longlink/pkg/client"
	"longlink/pkg/cluster"
	"longlink/pkg/code"
	"longlink/pkg/lifecycle"
	"longlink/scripts/clusterctl/local"
)

// Sizes of the test with a third register.
const (
	thirdDevices = 400
	thirdPushes  = 5000
	thirdRate    = 250 // pushes per second: 20 s
	thirdStep    = 4 * time.Second
)

// thirdRegister: a third register joins and leaves, twice, under load. No device
// that has been connected for two seconds by its own account is ever called
// offline, neither by a look-up nor by a qos 0 push, and every message arrives
// without a reconnect.
func thirdRegister(t *testing.T, nodes *local.Cluster) {
	api, key := operator(t, nodes)
	tr := NewTraffic(t, addresses(nodes, cluster.Center), key, addresses(nodes, cluster.Dispatcher), clusterProducts, "third", thirdDevices)
	tr.quiet = quietProduct
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	group := lifecycle.NewGroup(ctx, nil, nil)
	tr.StartDevices(group)

	asking, stopAsking := context.WithCancel(ctx)
	asked := make(chan *answers)
	go func() { asked <- lookUp(asking, tr) }()
	probed := make(chan *answers)
	go func() { probed <- probe(asking, tr) }()
	pushing := make(chan struct{})
	go func() {
		defer close(pushing)
		tr.Push(ctx, thirdPushes, thirdRate, *seed+1)
	}()

	periods := []Period{{Name: "two registers"}}
	for range 2 {
		<-time.After(thirdStep)
		periods = append(periods, Period{Name: "a third joins", Begin: time.Now()})
		sctx, done := context.WithTimeout(ctx, startLimit)
		err := nodes.Start(sctx, string(cluster.Register), 3)
		done()
		if err != nil {
			t.Fatal(err)
		}
		<-time.After(thirdStep)
		periods = append(periods, Period{Name: "it leaves", Begin: time.Now()})
		if err := nodes.Stop(string(cluster.Register), 3); err != nil {
			t.Error(err)
		}
	}
	<-pushing
	tr.AwaitAll(20 * time.Second)
	stopAsking()
	looks, probes := <-asked, <-probed
	pendingGone(t, api, tr.IDs()...)
	t.Logf("look-ups of connected devices: %v; qos 0 pushes to them: %v", looks.count, probes.count)
	for _, bad := range append(looks.bad, probes.bad...) {
		t.Errorf("%s", bad)
	}
	var stored int
	var worst time.Duration
	tr.each(func(_ *lane, _ int, p *pushed) {
		if p.online && p.state != "sent" {
			stored++
			worst = max(worst, p.waited())
		}
	})
	t.Logf("%d of %d pushes to connected devices were answered stored; the slowest of them came after %s\n%s", stored, tr.Pushes(), brief(worst), tr.Waits(periods))
	cancel()
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
	tr.Check()
}

// answers counts what was said of connected devices, and keeps the lies.
type answers struct {
	count map[string]int
	bad   []string
}

func (a *answers) add(what string, lie bool, device string) {
	a.count[what]++
	if lie && len(a.bad) < 20 {
		a.bad = append(a.bad, device+" is connected and was called "+what+" at "+time.Now().Format("15:04:05.000"))
	}
}

// lookUp asks for the state of connected devices, ten times a second, one center
// after the other.
func lookUp(ctx context.Context, tr *Traffic) *answers {
	a := &answers{count: map[string]int{}}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return a
		case <-tick.C:
		}
		online := tr.Online(onlineFor)
		if len(online) == 0 {
			continue
		}
		rand.Shuffle(len(online), func(i, j int) { online[i], online[j] = online[j], online[i] })
		list, err := tr.apis[i%len(tr.apis)].Devices(ctx, online[:min(50, len(online))]...)
		if err != nil {
			if ctx.Err() == nil {
				a.add("error "+client.CodeOf(err).String(), false, "")
			}
			continue
		}
		still := tr.Online(onlineFor)
		for _, d := range list {
			if slices.Contains(still, d.Device) {
				a.add(d.State, d.State == "offline", d.Device)
			}
		}
	}
}

// probe pushes qos 0 messages to connected devices, fifty a second, in a product
// whose lanes have nothing else to do.
func probe(ctx context.Context, tr *Traffic) *answers {
	a := &answers{count: map[string]int{}}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	qos, text := 0, "probe"
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return a
		case <-tick.C:
		}
		online := tr.Online(onlineFor)
		if len(online) == 0 {
			continue
		}
		device := online[rand.IntN(len(online))]
		state, err := tr.try(ctx, tr.apis[i%len(tr.apis)], client.PushRequest{Product: tr.quiet, Device: device, Text: &text, QoS: &qos})
		if ctx.Err() != nil || !slices.Contains(tr.Online(onlineFor), device) {
			continue
		}
		if err != nil {
			state = client.CodeOf(err).String()
		}
		a.add(state, client.CodeOf(err) == code.Offline, device)
	}
}
