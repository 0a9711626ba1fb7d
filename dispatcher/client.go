package dispatcher

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// prefixes are networks.
type prefixes []netip.Prefix

// parsePrefixes reads networks, or single addresses, in CIDR notation.
func parsePrefixes(list []string) (out prefixes, _ error) {
	for _, s := range list {
		p, err := netip.ParsePrefix(s)
		if a, aerr := netip.ParseAddr(s); aerr == nil {
			p, err = a.Prefix(a.BitLen())
		}
		if err != nil {
			return nil, fmt.Errorf("%q is no network: write it like 10.0.0.0/8 or 2001:db8::/32", s)
		}
		out = append(out, p.Masked())
	}
	return out, nil
}

func (p prefixes) contain(a netip.Addr) bool {
	return slices.ContainsFunc(p, func(n netip.Prefix) bool { return n.Contains(a) })
}

// client is the address that asks: the connection's, unless that is one of our
// proxies. Then it is the last one in X-Forwarded-For that no proxy of ours
// has: everything left of it is the asker's own word. The zero Addr when the
// connection has none.
func (p prefixes) client(r *http.Request) netip.Addr {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	addr := at.Addr().Unmap().WithZone("")
	if !p.contain(addr) {
		return addr
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		a, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil {
			break // not written by a proxy of ours: the last good one counts
		}
		addr = a.Unmap().WithZone("")
		if !p.contain(addr) {
			break
		}
	}
	return addr
}
