package bench

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"longlink/pkg/client"
	"longlink/pkg/lifecycle"
)

// Bounds of the calls that prepare a run.
const (
	tokenCallers = 16
	tokenTTL     = 2 * time.Hour // longer than any run
	statusPage   = 100           // devices a query; the API's limit
)

// gateway is what is measured.
type gateway struct {
	api   *client.Client
	http  *http.Client
	rooms []string
	procs []proc
}

// proc is one measured process.
type proc struct {
	name string
	pid  int
}

// openGateway finds the rooms and the processes behind all addresses.
func openGateway(ctx context.Context, o *Options) (*gateway, error) {
	g := &gateway{http: &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: max(o.Concurrency, tokenCallers)}}}
	var err error
	// Tried once: a repeated call would hide a refusal and stretch a latency.
	if g.api, err = client.New(client.Config{Center: o.Center, APIKey: o.APIKey, Tries: 1, HTTP: g.http}); err != nil {
		return nil, err
	}
	list, err := g.api.Services(ctx)
	if err != nil {
		return nil, err
	}
	at := map[netip.AddrPort][]string{} // address → instance ids
	for _, s := range list {
		if s.Kind == "room" && s.State == "ready" {
			for _, addr := range s.Addresses {
				if _, err := loopback(s.ID, addr); err != nil {
					return nil, err
				}
				g.rooms = append(g.rooms, addr)
			}
		}
		for _, addr := range append(s.Addresses, s.RPC) {
			if a, err := loopback(s.ID, addr); err == nil {
				at[a] = append(at[a], s.ID)
			}
		}
	}
	if len(g.rooms) == 0 {
		return nil, fmt.Errorf("no room is ready; longlink services shows what runs")
	}
	if u, err := url.Parse(o.Center); err == nil {
		if a, err := loopback("center", u.Host); err == nil && at[a] == nil {
			at[a] = []string{"center"}
		}
	}
	g.procs, err = processes(at, o.ServerPIDs)
	if err == nil && len(g.procs) == 0 {
		err = fmt.Errorf("no process was found behind the gateway's addresses; name them with --server-pid PID")
	}
	return g, err
}

// processes are those that listen on the addresses, and those named.
func processes(at map[netip.AddrPort][]string, named []string) ([]proc, error) {
	addrs := make([]netip.AddrPort, 0, len(at))
	for a := range at {
		addrs = append(addrs, a)
	}
	found, err := listenersOf(addrs)
	if err != nil {
		return nil, err
	}
	ids := map[int][]string{}
	for a, pid := range found {
		ids[pid] = append(ids[pid], at[a]...)
	}
	for _, n := range named {
		name, number, ok := strings.Cut(n, "=")
		if !ok {
			name, number = "pid "+n, n
		}
		pid, err := strconv.Atoi(number)
		if err != nil || pid <= 0 {
			return nil, fmt.Errorf("--server-pid %s: write PID or NAME=PID", n)
		}
		ids[pid] = []string{name}
	}
	var procs []proc
	for pid, names := range ids {
		slices.Sort(names)
		names = slices.Compact(names)
		name := strings.Join(names, "+")
		if len(names) > 2 {
			name = "gateway"
		}
		if _, err := cpuOf(pid); err != nil {
			return nil, err
		}
		procs = append(procs, proc{name, pid})
	}
	slices.SortFunc(procs, func(a, b proc) int { return cmp.Or(strings.Compare(a.name, b.name), a.pid-b.pid) })
	return procs, nil
}

// close gives up idle API connections.
func (g *gateway) close() { g.http.CloseIdleConnections() }

// credentials makes n devices with tokens, some calls at once.
func (g *gateway) credentials(ctx context.Context, run uint64, n int, product string) ([]credential, error) {
	list := make([]credential, n)
	var next atomic.Int64
	group := lifecycle.NewGroup(ctx, nil, nil)
	for range min(tokenCallers, n) {
		group.Go("bench tokens", func(ctx context.Context) error {
			for {
				i := int(next.Add(1) - 1)
				if i >= n || ctx.Err() != nil {
					return ctx.Err()
				}
				id := fmt.Sprintf("bench-%x-%d", run, i)
				t, err := g.api.CreateToken(ctx, client.TokenRequest{Device: id, Products: []string{product}, TTL: tokenTTL.String()})
				if err != nil {
					return fmt.Errorf("no token for %s: %w", id, err)
				}
				list[i] = credential{ID: id, Token: t.Token}
			}
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return list, ctx.Err()
}

// pending is how many messages of the product are not acknowledged, as the
// gateway sees it.
func (g *gateway) pending(ctx context.Context, devices []credential, product string) (int, error) {
	n := 0
	for page := range slices.Chunk(devices, statusPage) {
		ids := make([]string, len(page))
		for i, d := range page {
			ids[i] = d.ID
		}
		list, err := g.api.Devices(ctx, ids...)
		if err != nil {
			return 0, err
		}
		for _, d := range list {
			for _, b := range d.Bindings {
				if b.Product == product {
					n += int(b.Pending)
				}
			}
		}
	}
	return n, nil
}
