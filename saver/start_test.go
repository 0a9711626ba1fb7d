package saver

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"longlink/pkg/batch"
	"longlink/pkg/cluster"
	"longlink/pkg/code"
	"longlink/pkg/config"
	"longlink/pkg/rpc"
	"longlink/pkg/service"
	"longlink/pkg/testenv"
)

var _ service.Service = (*Saver)(nil)

// A store that is away, or that would lose messages, ends the start with an
// error that names the key, the address and what to do.
func TestStartErrors(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := lis.Addr().String()
	lis.Close()
	evicting := testenv.Redis(t, testenv.Args("--maxmemory-policy", "allkeys-lru"))
	for name, c := range map[string]struct {
		change func(*Config)
		want   []string
	}{
		"no redis": {func(c *Config) { c.Redis.Mode, c.Redis.Addr = "single", nobody },
			[]string{"saver.redis.addr", nobody, "start it or correct"}},
		"no mysql": {func(c *Config) { c.Ledger.Driver, c.Ledger.DSN = "mysql", "u:secret@tcp("+nobody+")/x" },
			[]string{"saver.ledger.dsn", nobody + "/x", "start the database"}},
		"evicting redis": {func(c *Config) { c.Redis.Mode, c.Redis.Addr = "single", evicting.Addr },
			[]string{"saver.redis.addr", "allkeys-lru", "noeviction"}},
		"no directory": {func(c *Config) { c.Ledger.Path = "/nowhere/at/all/ledger.db" },
			[]string{"saver.ledger.path", "/nowhere/at/all/ledger.db"}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := testConfig()
			cfg.Work.StartTimeout = config.Duration(300 * time.Millisecond)
			c.change(&cfg)
			reg := prometheus.NewRegistry()
			batches := batch.NewMetrics(reg)
			peers := rpc.NewPeers(&rpc.InProcess{}, cluster.NewHolder(), rpc.Identity{ID: "saver-1", Epoch: 1}, nil, batches, nil)
			s, err := New(cfg, service.Deps{Registry: reg, Batches: batches, Peers: peers}, t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			err = s.Run(t.Context(), func() { t.Error("ready") })
			if err == nil || time.Since(begin) > 5*time.Second {
				t.Fatalf("Run = %v after %v", err, time.Since(begin))
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%q does not say %q", err, w)
				}
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("%q tells the password", err)
			}
		})
	}
}

// The store that was there at the start goes away: Check says so, calls are
// answered with a code, and all is well when it is back.
func TestRedisAway(t *testing.T) {
	w := realWorld(t)
	s := w.start()
	s.mustPush(push{device: "d", text: "a"})
	srv := w.redis.(realRedis).srv
	if err := srv.Kill(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if err := s.Check(ctx); err == nil || !strings.Contains(err.Error(), "saver.redis.addr") {
		t.Errorf("Check = %v", err)
	}
	for range 20 {
		if _, c := s.push(push{device: "d", text: "b"}); !retryable(c) {
			t.Fatalf("push without Redis: %v", c)
		}
	}
	if err := srv.Start(); err != nil {
		t.Fatal(err)
	}
	s.mustPush(push{device: "d", text: "c", dedup: "c"})
	if got := texts(s.load("d", 0, false)); !strings.HasPrefix(got, "a") || !strings.HasSuffix(got, "c") {
		t.Errorf("lane holds %q", got)
	}
	if err := s.Check(ctx); err != nil {
		t.Errorf("Check = %v", err)
	}
}

// The ledger is killed under traffic: nothing answered yes is missing, what
// cannot be stored is refused, and loads go on.
func TestLedgerAway(t *testing.T) {
	w := realWorld(t)
	db := testenv.MariaDB(t)
	w.cfg.Ledger.DSN = db.NewDatabase(t)
	s := w.start()
	a := s.mustPush(push{device: "d", text: "a"})
	s.mustPush(push{device: "other", text: "a"}) // its slot serves
	if err := db.Kill(); err != nil {
		t.Fatal(err)
	}
	var refused int
	for range 50 {
		switch _, c := s.push(push{device: "other", text: "b"}); c {
		case code.Unavailable:
			refused++
		case code.Unknown:
		default:
			t.Fatalf("push without a ledger: %v", c)
		}
	}
	if refused < 40 {
		t.Errorf("only %d of 50 were refused before they were stored in Redis", refused)
	}
	s.holds("d", "a")
	s.ack("d", a.Seq)
	s.holds("d", "")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if err := s.Check(ctx); err == nil || !strings.Contains(err.Error(), "saver.ledger.dsn") {
		t.Errorf("Check = %v", err)
	}
	if err := db.Start(); err != nil {
		t.Fatal(err)
	}
	s.mustPush(push{device: "d", text: "c", dedup: "c"})
	eventually(t, "the ack reaches the ledger", func() bool { return s.cursors.get(laneOf("d")) == 0 })
	w.redis.restart(false)
	s.holds("d", "c")
}

func TestConfigValidate(t *testing.T) {
	c := DefaultConfig()
	if bad := c.Validate(); len(bad) > 0 {
		t.Error(bad)
	}
	c.Redis.Mode, c.Ledger.Driver, c.Ledger.DSN = "sentinel", "mysql", "not a dsn"
	if bad := c.Validate(); len(bad) != 2 || bad[0].Key != "redis.sentinels" || bad[1].Key != "ledger.dsn" {
		t.Error(bad)
	}
	type file struct {
		Saver Config `yaml:"saver" doc:"Saver."`
	}
	text := config.Annotated(file{DefaultConfig()})
	for _, key := range []string{"max_messages: 1000", "max_bytes: 1MiB", "cursor_flush: 200ms", "mode: embedded"} {
		if !strings.Contains(string(text), key) {
			t.Errorf("the annotated default lacks %q", key)
		}
	}
}
