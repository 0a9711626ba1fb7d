package keeper

import (
	"net"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"longlink/pkg/api"
	"longlink/pkg/batch"
	"longlink/pkg/cluster"
	"longlink/pkg/code"
	"longlink/pkg/rpc"
)

// TestHeldInstancesThatRefuseFailFast: for minutes the view shows rooms that have
// crashed; a delivery to one costs nothing but its answer, and those of the
// living room go on.
func TestHeldInstancesThatRefuseFailFast(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		c := w.follow(t, time.Minute)
		crash := crashable(t, c, 4)
		for _, id := range names(4) {
			sees(t, c, id, true)
		}
		peers := rpc.NewPeers(&rpc.TCP{}, c.Views(), rpc.Identity{ID: "me"}, c.log, batch.NewMetrics(prometheus.NewRegistry()), nil)
		run(t, peers)
		delivers := rpc.NewCaller(peers, rpc.Deliver, rpc.CallerConfig{Target: "room.deliver", Kind: cluster.Room})
		if conn, err := net.Dial("tcp", room("r1").RPC); err == nil {
			conn.Close()
			t.Fatalf("something listens at %s", room("r1").RPC)
		}
		crash("r0", "r1", "r2")
		holds(t, c, "r0", "r1", "r2")
		deliver := func(to cluster.Instance) <-chan code.Code {
			answer := make(chan code.Code, 1)
			delivers.Submit(to, 1, time.Now().Add(10*time.Second), &api.DeliverItem{Meta: &api.Meta{}, Device: "d"}, func(_ *api.DeliverResult, err *code.Error) {
				answer <- err.Code
			})
			return answer
		}
		held := sees(t, c, "r1", true)
		if got := <-deliver(held); got != code.Unavailable {
			t.Errorf("the first delivery: %v", got)
		}
		for range 1000 {
			select {
			case got := <-deliver(held):
				if got != code.Unavailable {
					t.Fatalf("a delivery to a held room that refuses: %v", got)
				}
			default:
				t.Fatal("a delivery waits for a held room that refuses")
			}
		}
		if _, err := peers.To(cluster.Room, "r1"); err == nil {
			t.Error("a connection to a held room that refuses")
		}
	})
}
