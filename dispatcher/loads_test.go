package dispatcher

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"

	"longlink/pkg/api"
	"longlink/pkg/cluster"
	"longlink/pkg/code"
	"longlink/pkg/config"
	"longlink/pkg/rpc"
)

// keeper answers with the figures it was given.
type keeper struct {
	api.UnimplementedKeeperServer
	reply atomic.Pointer[api.ServicesReply] // nil: fails
}

func (k *keeper) Services(_ context.Context, r *api.ServicesRequest) (*api.ServicesReply, error) {
	if reply := k.reply.Load(); reply != nil && r.Kind == "room" {
		return reply, nil
	}
	return nil, code.Errorf(code.Unavailable, "not now")
}

func (k *keeper) set(connections ...float64) {
	r := &api.ServicesReply{}
	for n, c := range connections {
		r.Instances = append(r.Instances, &api.ServiceInstance{Kind: "room", Id: aRoom(n+1, "", "").ID, Epoch: 7,
			Figures: map[string]float64{"connections": c, "capacity": 1000}})
	}
	k.reply.Store(r)
}

// serveKeeper runs one on the world's network.
func serveKeeper(t *testing.T, net rpc.Network, addr string) *keeper {
	t.Helper()
	k := &keeper{}
	srv, err := net.Listen(addr, func(r grpc.ServiceRegistrar) { api.RegisterKeeperServer(r, k) })
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return k
}

func living(n int) []cluster.Instance {
	list := rooms(n)
	for i := range list {
		list[i].Epoch = 7
	}
	return list
}

func TestFullRoomsAreSkipped(t *testing.T) {
	list := append(living(3), cluster.Instance{Kind: cluster.Keeper, ID: "k1", RPC: "keeper-1"}, cluster.Instance{Kind: cluster.Keeper, ID: "k2", RPC: "keeper-2"})
	w := start(t, func(c *Config) { c.Full.Interval = config.Duration(20 * time.Millisecond); c.Group = 8 }, list...)
	serveKeeper(t, w.net, "keeper-1") // fails always: the other one is asked
	k := serveKeeper(t, w.net, "keeper-2")
	hosts := func() (n int) {
		seen := map[string]bool{}
		for _, a := range w.group(t, "d") {
			seen[host(a)] = true
		}
		return len(seen)
	}
	shows := func(what string, want int) {
		t.Helper()
		deadline := time.Now().Add(10 * time.Second)
		for hosts() != want {
			if time.Now().After(deadline) {
				t.Fatalf("%s: %d rooms are given out, want %d", what, hosts(), want)
			}
			<-time.After(5 * time.Millisecond)
		}
	}
	shows("without figures", 3)
	k.set(950, 949, 0)
	shows("one is full", 2)
	k.set(901, 970, 0) // 5 below is not reached yet
	shows("two are full", 1)
	k.set(899, 970, 0)
	shows("one fell", 2)
	k.set(1000, 1000, 1000)
	shows("all are full: better than no answer", 3)
	k.set(1000, 1000, 0)
	shows("two are full", 1)
	restarted := living(3)
	restarted[0].Epoch = 8 // the figures are of its earlier life
	w.views.Set(cluster.NewView(2, append(restarted, list[3:]...)))
	shows("a restarted one", 2)
}

func TestOldFiguresAreForgotten(t *testing.T) {
	w := start(t, func(c *Config) { c.Full.Interval = 0 }, append(living(2), cluster.Instance{Kind: cluster.Keeper, ID: "k1", RPC: "keeper-1"})...)
	k := serveKeeper(t, w.net, "keeper-1")
	now := time.Unix(1_800_000_000, 0)
	w.poller.now = func() time.Time { return now }
	k.set(1000, 0)
	full := func() int { return w.current().states["full"] }
	w.poller.poll(t.Context())
	if full() != 1 {
		t.Fatalf("%v", w.current().states)
	}
	k.reply.Store(nil)
	now = now.Add(maxLoadAge)
	if w.poller.poll(t.Context()); full() != 1 {
		t.Error("forgotten too early")
	}
	now = now.Add(time.Second)
	if w.poller.poll(t.Context()); full() != 0 {
		t.Error("figures of a keeper that is long away still count")
	}
	if n := count(t, w.metrics.polls.WithLabelValues("failed")); n != 2 {
		t.Errorf("%v failures", n)
	}
}
