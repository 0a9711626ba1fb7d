package dispatcher

import (
	"container/list"
	"net/netip"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"
)

// rates limits the questions of each address by a token bucket. The table is
// bounded: the address that has been silent for longest leaves it and starts
// with a full bucket when it comes again, so an attacker who owns more
// addresses than the table holds is not limited by it; max_connections is what
// bounds that one.
type rates struct {
	limit   rate.Limit // per second; 0: no limits
	burst   int
	most    int
	exempt  prefixes
	held    prometheus.Gauge
	evicted prometheus.Counter

	mu     sync.Mutex
	byAddr map[netip.Addr]*list.Element // guarded by mu; of *bucket
	order  list.List                    // guarded by mu; the latest first
}

type bucket struct {
	addr netip.Addr
	rate.Limiter
}

func newRates(cfg RateConfig, exempt prefixes, m *metrics) *rates {
	return &rates{limit: rate.Limit(cfg.PerSecond), burst: cfg.Burst, most: cfg.Addresses, exempt: exempt,
		held: m.addresses, evicted: m.evicted, byAddr: map[netip.Addr]*list.Element{}}
}

// allow takes one token of the address; false with the time until there is one.
func (r *rates) allow(addr netip.Addr, now time.Time) (time.Duration, bool) {
	if r.limit == 0 || r.exempt.contain(addr) {
		return 0, true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	b := r.bucket(payer(addr))
	if b.AllowN(now, 1) {
		return 0, true
	}
	missing := 1 - b.TokensAt(now)
	return time.Duration(missing / float64(r.limit) * float64(time.Second)), false
}

func (r *rates) bucket(addr netip.Addr) *bucket {
	if e, ok := r.byAddr[addr]; ok {
		r.order.MoveToFront(e)
		return e.Value.(*bucket)
	}
	if len(r.byAddr) >= r.most {
		oldest := r.order.Back()
		r.order.Remove(oldest)
		delete(r.byAddr, oldest.Value.(*bucket).addr)
		r.evicted.Inc()
	}
	b := &bucket{addr, *rate.NewLimiter(r.limit, r.burst)}
	r.byAddr[addr] = r.order.PushFront(b)
	r.held.Set(float64(len(r.byAddr)))
	return b
}

// payer is whose bucket an address draws on: a subscriber gets a /64 of IPv6
// (RFC 6177), in which he can make up addresses.
func payer(a netip.Addr) netip.Addr {
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}
