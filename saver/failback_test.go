package saver

import (
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"longlink/pkg/code"
	"longlink/pkg/testenv"
)

// A master is replaced by a replica that has missed its last writes, follows it
// and is promoted again, all without a restart and before anybody used the
// slot in between: the process and the gen are the same, the data is not.
func TestFailbackWithoutRestartIsRebuilt(t *testing.T) {
	w := realWorld(t)
	follow := follower(t)
	first, second := w.cfg.Redis.Addr, testenv.Redis(t).Addr
	s := w.start()
	s.mustPush(push{device: "d", text: "a"})
	follow(second, first)
	follow(second, "")
	s.mustPush(push{device: "d", text: "b"}) // the replica misses it
	s.stop()
	follow(first, second)
	follow(first, "")
	w.start().holds("d", "a b")
}

// The first replica comes: Redis takes another replication id with the data as
// it is. Savers that were connected before and after must not rebuild a slot
// against each other.
func TestFirstReplicaDisturbsNobody(t *testing.T) {
	w := realWorld(t)
	replica := testenv.Redis(t).Addr
	before := w.start()
	before.mustPush(push{device: "d", text: "a", dedup: "1"})
	follower(t)(replica, w.cfg.Redis.Addr)
	after := w.start()
	after.mustPush(push{device: "d", text: "b", dedup: "2"})
	before.mustPush(push{device: "d", text: "c", dedup: "3"})
	for range 20 {
		if _, c := before.push(push{device: "d", text: "-"}); c != code.OK {
			t.Fatalf("the one from before: %v", c)
		}
		if _, c := after.push(push{device: "d", text: "+"}); c != code.OK {
			t.Fatalf("the one from after: %v", c)
		}
	}
}

// follower makes one Redis follow another, or nobody.
func follower(t *testing.T) func(addr, master string) {
	return func(addr, master string) {
		t.Helper()
		c := redis.NewClient(&redis.Options{Addr: addr})
		defer c.Close()
		host, port := "NO", "ONE"
		if master != "" {
			host, port, _ = strings.Cut(master, ":")
		}
		if err := c.ReplicaOf(t.Context(), host, port).Err(); err != nil {
			t.Fatal(err)
		}
		eventually(t, addr+" follows "+master, func() bool {
			info, err := c.Info(t.Context(), "replication").Result()
			return err == nil && (master == "" || strings.Contains(info, "master_link_status:up"))
		})
	}
}
