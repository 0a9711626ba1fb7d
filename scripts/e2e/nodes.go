package e2e

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"longlink/pkg/client"
	"longlink/pkg/cluster"
	"longlink/pkg/testenv"
	"longlink/scripts/clusterctl/local"
)

// startLimit bounds the start of a cluster or of one of its processes.
const startLimit = 90 * time.Second

// Nodes starts a cluster with so many of each service on stores of its own, as
// children of the test. At its end it must not have raced.
func Nodes(t testing.TB, binary string, count int) *local.Cluster {
	t.Helper()
	redis, maria, etcd := testenv.Redis(t, testenv.AOF()), testenv.MariaDB(t), testenv.Etcd(t)
	c, err := local.New(local.Config{
		// A place for one more of each.
		Dir: t.TempDir(), Binary: binary, Count: count, Base: freeBase(t, count+1), Launch: local.Child,
		Stores: local.Stores{Etcd: etcd.Endpoints[0], Redis: redis.Addr, DSN: maria.NewDatabase(t)},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.KillAll(); err != nil {
			t.Error(err)
		}
		for _, p := range c.Processes() {
			if b, _ := os.ReadFile(p.Log); strings.Contains(string(b), "DATA RACE") {
				t.Errorf("%s: data race\n%s", p.Name(), b)
			}
			if t.Failed() {
				t.Logf("--- %s\n%s", p.Name(), p.Tail())
			}
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), startLimit)
	defer cancel()
	if err := c.StartAll(ctx); err != nil {
		t.Fatal(err)
	}
	return c
}

// addresses lists the URLs of a cluster's centers or dispatchers.
func addresses(c *local.Cluster, kind cluster.Kind) (out []string) {
	for _, p := range c.Of(kind) {
		out = append(out, p.Addr)
	}
	return out
}

// operator is a client of the first center with the operator's key.
func operator(t testing.TB, c *local.Cluster) (api *client.Client, key string) {
	t.Helper()
	key, err := c.OperatorKey()
	if err != nil {
		t.Fatal(err)
	}
	api, err = client.New(client.Config{Center: addresses(c, cluster.Center)[0], APIKey: key})
	if err != nil {
		t.Fatal(err)
	}
	return api, key
}
