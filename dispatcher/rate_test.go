package dispatcher

import (
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"longlink/pkg/config"
)

func TestRates(t *testing.T) {
	m := newMetrics(prometheus.NewRegistry())
	exempt, err := parsePrefixes([]string{"127.0.0.0/8", "2001:db8:1::/48"})
	if err != nil {
		t.Fatal(err)
	}
	r := newRates(RateConfig{PerSecond: 2, Burst: 3, Addresses: 2}, exempt, m)
	now := time.Unix(1_800_000_000, 0)
	ask := func(addr string) bool {
		t.Helper()
		wait, ok := r.allow(netip.MustParseAddr(addr), now)
		if !ok && (wait <= 0 || wait > 500*time.Millisecond) {
			t.Errorf("%s is to wait %v", addr, wait)
		}
		return ok
	}
	times := func(addr string, n int) (ok int) {
		for range n {
			if ask(addr) {
				ok++
			}
		}
		return ok
	}
	if n := times("10.0.0.1", 10); n != 3 {
		t.Errorf("%d of a burst of 3", n)
	}
	if n := times("10.0.0.2", 10); n != 3 {
		t.Errorf("another address has %d", n)
	}
	now = now.Add(time.Second)
	if n := times("10.0.0.1", 10); n != 2 {
		t.Errorf("%d after a second of 2", n)
	}
	if n := times("127.1.2.3", 100) + times("2001:db8:1::7", 100); n != 200 {
		t.Errorf("exempt ones: %d", n)
	}
	// The third address takes the place of 10.0.0.2, silent for longest.
	if n := times("2001:db8::1", 2) + times("2001:db8::2", 2); n != 3 {
		t.Errorf("one /64 has %d", n)
	}
	if n := times("10.0.0.1", 1); n != 0 {
		t.Error("the one that asked since then was forgotten")
	}
	if len(r.byAddr) != 2 || r.order.Len() != 2 || count(t, m.evicted) != 1 {
		t.Errorf("%d addresses, %v evicted", len(r.byAddr), count(t, m.evicted))
	}
	off := newRates(RateConfig{Burst: 1, Addresses: 1}, nil, m)
	for range 100 {
		if _, ok := off.allow(netip.Addr{}, now); !ok {
			t.Fatal("0 is no limit")
		}
	}
}

func TestRateLimitedAnswer(t *testing.T) {
	w := start(t, func(c *Config) { c.Rate = RateConfig{PerSecond: 0.01, Burst: 2, Addresses: 10} }, rooms(1)...)
	w.group(t, "d1")
	w.group(t, "d2")
	var e errorBody
	resp := w.ask(t, http.MethodGet, "/v1/rooms?device=d3", &e)
	after, err := strconv.Atoi(resp.Header.Get("Retry-After"))
	if resp.StatusCode != 429 || e.Error.Code != "RATE_LIMITED" || err != nil || after < 50 || e.Error.RetryAfterMS < 50_000 {
		t.Errorf("%s, Retry-After %v, %+v", resp.Status, after, e.Error)
	}
	if n := count(t, w.metrics.requests.WithLabelValues("RATE_LIMITED")); n != 1 {
		t.Errorf("%v were counted", n)
	}
}

func TestClientAddress(t *testing.T) {
	trusted, err := parsePrefixes([]string{"10.0.0.0/8", "192.0.2.1", "fd00::/8"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		remote, forwarded, want string
	}{
		{"203.0.113.9:5", "", "203.0.113.9"},
		{"203.0.113.9:5", "198.51.100.1", "203.0.113.9"}, // not our proxy: his own word
		{"10.1.1.1:5", "198.51.100.1", "198.51.100.1"},
		{"10.1.1.1:5", "1.1.1.1, 198.51.100.1", "198.51.100.1"}, // the left one is made up
		{"10.1.1.1:5", "198.51.100.1, 192.0.2.1,10.2.2.2", "198.51.100.1"},
		{"10.1.1.1:5", "", "10.1.1.1"},
		{"10.1.1.1:5", "198.51.100.1, garbage", "10.1.1.1"},
		{"10.1.1.1:5", "garbage, 198.51.100.1", "198.51.100.1"},
		{"10.1.1.1:5", "10.3.3.3", "10.3.3.3"},
		{"[::ffff:10.1.1.1]:5", "::ffff:198.51.100.1", "198.51.100.1"},
		{"[fd00::1%eth0]:5", "2001:db8::1", "2001:db8::1"},
		{"@", "198.51.100.1", "invalid IP"},
	} {
		r := &http.Request{RemoteAddr: c.remote, Header: http.Header{}}
		if c.forwarded != "" {
			// As several headers, as some proxies write it.
			for part := range strings.SplitSeq(c.forwarded, ",") {
				r.Header.Add("X-Forwarded-For", part)
			}
		}
		if got := trusted.client(r).String(); got != c.want {
			t.Errorf("%s forwarded for %q: %s, want %s", c.remote, c.forwarded, got, c.want)
		}
	}
}

func TestForwardedAddressesHaveLimitsOfTheirOwn(t *testing.T) {
	w := start(t, func(c *Config) {
		c.Rate = RateConfig{PerSecond: 0.01, Burst: 1, Addresses: 10}
		c.TrustedProxies = []string{"127.0.0.1"}
	}, rooms(1)...)
	status := func(addr string) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+w.Addresses()[0]+"/v1/rooms?device=d", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Forwarded-For", addr)
		resp, err := w.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	got := fmt.Sprint(status("203.0.113.1"), status("203.0.113.1"), status("203.0.113.2"))
	if got != "200 429 200" {
		t.Error(got)
	}
}

func TestBadNetworksAreRefused(t *testing.T) {
	cfg := struct {
		Dispatcher Config `yaml:"dispatcher"`
	}{DefaultConfig()}
	_, err := config.Load(&cfg, config.Options{Env: []string{"LONGLINK_DISPATCHER_TRUSTED_PROXIES=10.0.0.0/8,10.0.0.0/33", "LONGLINK_DISPATCHER_RATE_EXEMPT=here"}, Flags: nil})
	if err == nil || !strings.Contains(err.Error(), "dispatcher.trusted_proxies") || !strings.Contains(err.Error(), "10.0.0.0/33") || !strings.Contains(err.Error(), "dispatcher.rate.exempt") {
		t.Errorf("%v", err)
	}
}

func BenchmarkRate(b *testing.B) {
	r := newRates(DefaultConfig().Rate, nil, newMetrics(prometheus.NewRegistry()))
	now := time.Now()
	for i := 0; b.Loop(); i++ {
		r.allow(netip.AddrFrom4([4]byte{byte(i >> 16), byte(i >> 8), byte(i), 1}), now)
	}
}
