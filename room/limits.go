package room

import (
	"container/list"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"longlink/pkg/code"
)

// capacity is how many connections the room takes: what is configured, and
// always below the process's limit on open files, with headroom for what else
// the process opens (stores, other services, logs) and for a connection's
// second descriptor while it is enrolled.
func capacity(configured int) int64 {
	const most = 10_000_000
	limit := int64(most)
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err == nil && r.Cur < most {
		n := int64(r.Cur)
		limit = max(n-max(n/10, min(512, n/2)), 1)
	}
	if configured > 0 {
		return min(int64(configured), limit)
	}
	return limit
}

// Reasons of refused connections, the label of room_refused_total.
const (
	refusedFull  = "full"       // max_connections
	refusedOpen  = "address"    // address.connections
	refusedLogin = "login_rate" // address.logins_per_second
)

// addresses limits what one address may ask of the acceptors, before a
// connection costs more than its socket. The table is bounded: the address that
// has been silent for longest is forgotten and starts anew when it comes again,
// so whoever owns more addresses than the table holds is bounded by
// max_connections alone.
type addresses struct {
	// Constant.
	cap      int        // open connections; 0: no limit
	rate     rate.Limit // logins per second; 0: no limit
	burst    int
	most     int
	exempt   []netip.Prefix
	refusals *prometheus.CounterVec
	held     prometheus.Gauge
	evicted  prometheus.Counter

	mu     sync.Mutex
	open   map[netip.Addr]int           // guarded by mu; of connections that were admitted
	logins map[netip.Addr]*list.Element // guarded by mu; of *loginBucket
	order  list.List                    // guarded by mu; the latest first
}

type loginBucket struct {
	addr netip.Addr
	rate.Limiter
}

func newAddresses(cfg AddressConfig, reg prometheus.Registerer) (*addresses, error) {
	exempt, err := cfg.exempt()
	if err != nil {
		return nil, err
	}
	a := &addresses{cap: cfg.Connections, open: map[netip.Addr]int{}, rate: rate.Limit(cfg.LoginsPerSecond), burst: cfg.LoginBurst, most: cfg.Remembered, exempt: exempt,
		logins:   map[netip.Addr]*list.Element{},
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "longlink_room_refused_total", Help: "Connections refused before login: full, address (address.connections), or login_rate of their address."}, []string{"reason"}),
		held:     prometheus.NewGauge(prometheus.GaugeOpts{Name: "longlink_room_login_addresses", Help: "Addresses in the login limit's table."}),
		evicted:  prometheus.NewCounter(prometheus.CounterOpts{Name: "longlink_room_login_addresses_evicted_total", Help: "Addresses forgotten because address.remembered was reached."}),
	}
	for _, reason := range []string{refusedFull, refusedOpen, refusedLogin} {
		a.refusals.WithLabelValues(reason)
	}
	reg.MustRegister(a.refusals, a.held, a.evicted)
	return a, nil
}

// admit judges a new connection, which is one login at most: "" or the reason
// why not, and when to come back. One that is admitted must leave.
func (a *addresses) admit(from netip.Addr, now time.Time) (reason string, retry time.Duration) {
	if !a.limited(from) {
		return "", 0
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.cap > 0 && a.open[from] >= a.cap {
		return refusedOpen, spreadRetry(fullAddress)
	}
	if a.rate > 0 {
		b := a.bucket(from)
		if !b.AllowN(now, 1) {
			missing := (1 - b.TokensAt(now)) / float64(a.rate)
			return refusedLogin, spreadRetry(time.Duration(missing * float64(time.Second)))
		}
	}
	if a.cap > 0 {
		a.open[from]++
	}
	return "", 0
}

// leave ends what admit began.
func (a *addresses) leave(from netip.Addr) {
	if a.cap == 0 || !a.limited(from) {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.open[from]--; a.open[from] <= 0 {
		delete(a.open, from)
	}
}

// fullAddress is the least hint to an address that has too many connections.
const fullAddress = 10 * time.Second

func (a *addresses) limited(from netip.Addr) bool {
	return from.IsValid() && !slices.ContainsFunc(a.exempt, func(p netip.Prefix) bool { return p.Contains(from) })
}

func (a *addresses) bucket(from netip.Addr) *loginBucket {
	if e, ok := a.logins[from]; ok {
		a.order.MoveToFront(e)
		return e.Value.(*loginBucket)
	}
	if len(a.logins) >= a.most {
		oldest := a.order.Back()
		a.order.Remove(oldest)
		delete(a.logins, oldest.Value.(*loginBucket).addr)
		a.evicted.Inc()
	}
	b := &loginBucket{from, *rate.NewLimiter(a.rate, a.burst)}
	a.logins[from] = a.order.PushFront(b)
	a.held.Set(float64(len(a.logins)))
	return b
}

// spreadRetry is a hint not below least that brings the devices behind one
// address back over some seconds.
func spreadRetry(least time.Duration) time.Duration {
	usual := time.Duration(code.RateLimited.Row().RetryMS) * time.Millisecond
	return max(least, usual) + rand.N(4*usual)
}

// limitOf is the address whose limits hold for a peer: an IPv4 address, or the
// /64 of IPv6 that a subscriber gets (RFC 6177) and can make up addresses in.
func limitOf(peer net.Addr) netip.Addr {
	t, ok := peer.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	from := t.AddrPort().Addr().Unmap().WithZone("")
	if p, err := from.Prefix(64); from.Is6() && err == nil {
		return p.Addr()
	}
	return from
}
