package e2e

import (
	"testing"
	"time"

	"longlink/pkg/cluster"
)

// clusterProducts are pushed to; quietProduct is left to probes.
var clusterProducts = []string{"alpha", "beta", "gamma"}

const quietProduct = "quiet"

// TestCluster: two of each service, on real stores.
func TestCluster(t *testing.T) {
	begin := time.Now()
	nodes := Nodes(t, binary, 2)
	t.Logf("everything is ready after %s", brief(time.Since(begin)))
	api, _ := operator(t, nodes)
	for _, p := range append([]string{quietProduct}, clusterProducts...) {
		if _, err := api.CreateProduct(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	s := siteOf(t, nodes, binary)
	features(t, s)
	t.Run("upstream", func(t *testing.T) {
		var deaths []func()
		for _, kind := range []cluster.Kind{cluster.Coordinator, cluster.Saver, cluster.Room, cluster.Center} {
			deaths = append(deaths, func() { restart(t, nodes, time.Second, func() {}, kind) })
		}
		upstream(t, s, deaths...)
	})
	t.Run("a third register joins and leaves", func(t *testing.T) { thirdRegister(t, nodes) })
	t.Run("each is killed in turn", func(t *testing.T) { kills(t, nodes) })
	if err := nodes.StopAll(); err != nil {
		t.Error(err)
	}
}
