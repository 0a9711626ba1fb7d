package saver

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"longlink/pkg/batch"
	"longlink/pkg/config"
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
			s, err := New(cfg, service.Deps{Registry: reg, Batches: batch.NewMetrics(reg)}, t.TempDir())
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

func TestConfigValidate(t *testing.T) {
	c := DefaultConfig()
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	c.Redis.Mode, c.Ledger.Driver, c.Ledger.DSN = "sentinel", "mysql", "not a dsn"
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "redis.sentinels") || !strings.Contains(err.Error(), "ledger.dsn") {
		t.Error(err)
	}
}
