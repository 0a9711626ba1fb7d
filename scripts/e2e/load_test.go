package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"longlink/pkg/client"
	"longlink/pkg/lifecycle"
	"longlink/pkg/sdk"
)

// Sizes of the load test.
const (
	loadDevices = 500
	loadPushes  = 10000
	loadRate    = 600 // pushes per second at most, so that the drops have time to happen
	dropPercent = 5   // of the devices lose their connection each second
)

// TestLoad: 500 devices in three products, 10,000 pushes, 5 % of the devices
// losing their connection each second: every message acknowledged, none lost,
// none seen twice by the app, order kept per lane.
func TestLoad(t *testing.T) {
	topologies(t, func(t *testing.T, g *Gateway) {
		g.Start()
		l := &load{t: t, g: g, products: []string{"alpha", "beta", "gamma"}, got: map[string][]int{}, rng: rand.New(rand.NewPCG(*seed, 1))}
		t.Logf("seed %d", *seed)
		for _, p := range l.products {
			product(t, g, p)
		}
		ctx, cancel := context.WithCancel(t.Context())
		group := lifecycle.NewGroup(ctx, nil, nil)
		l.startDevices(group)
		await(t, "all devices to connect", 60*time.Second, func() error {
			if n := l.connects.Load(); n < loadDevices {
				return fmt.Errorf("%d connected", n)
			}
			return nil
		})
		dctx, stopDropping := context.WithCancel(ctx)
		dropped := make(chan int)
		go func() { dropped <- l.drop(dctx) }()
		start := time.Now()
		l.pushAll(ctx)
		took := time.Since(start)
		await(t, "every message to arrive", 90*time.Second, func() error {
			if n := l.received.Load(); n < loadPushes {
				return fmt.Errorf("%d of %d arrived; %s", n, loadPushes, l.missing())
			}
			return nil
		})
		stopDropping()
		n := <-dropped
		pendingGone(t, g, l.ids()...)
		cancel()
		if err := group.Wait(); err != nil {
			t.Error(err)
		}
		l.check()
		t.Logf("%d pushes in %s (%d sent at once), %d connections cut, %d logins, %d duplicates dropped by the SDK",
			loadPushes, took.Round(time.Millisecond), l.sent.Load(), n, l.connects.Load(), l.duplicates())
		g.Stop()
	})
}

type load struct {
	t        *testing.T
	g        *Gateway
	products []string
	rng      *rand.Rand

	connects, received, sent atomic.Int64
	clients                  []*sdk.Client

	mu    sync.Mutex
	conns [loadDevices]net.Conn
	want  map[string]int   // lane → messages accepted
	got   map[string][]int // lane → numbers in the order the app saw them
}

func (l *load) ids() (out []string) {
	for i := range loadDevices {
		out = append(out, "load-"+strconv.Itoa(i))
	}
	return out
}

func (l *load) startDevices(group *lifecycle.Group) {
	api := l.g.API()
	for i, id := range l.ids() {
		var products []sdk.Product
		for _, p := range l.products {
			products = append(products, sdk.Product{Name: p})
		}
		c, err := sdk.New(sdk.Config{
			Device: id, Products: products, Dispatcher: []string{l.g.Dispatcher()}, Network: "wifi",
			Token: func(ctx context.Context) (string, error) {
				t, err := api.CreateToken(ctx, client.TokenRequest{Device: id, Products: l.products})
				return t.Token, err
			},
			Handler: func(_ context.Context, m sdk.Message) error {
				n, err := strconv.Atoi(string(m.Payload))
				if err != nil {
					return err
				}
				lane := id + "/" + m.Product
				l.mu.Lock()
				l.got[lane] = append(l.got[lane], n)
				l.mu.Unlock()
				l.received.Add(1)
				return nil
			},
			OnConnected: func(sdk.Connected) { l.connects.Add(1) },
			Backoff:     sdk.Backoff{Base: 50 * time.Millisecond, Max: time.Second, Jitter: 0.5},
			Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
				conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
				if err == nil {
					l.mu.Lock()
					l.conns[i] = conn
					l.mu.Unlock()
				}
				return conn, err
			},
		})
		if err != nil {
			l.t.Fatal(err)
		}
		l.clients = append(l.clients, c)
		group.Go("device", c.Run)
	}
}

// drop cuts 5 % of the connections each second, half of them with a reset.
func (l *load) drop(ctx context.Context) (cut int) {
	tick := time.NewTicker(time.Second * 100 / (dropPercent * loadDevices))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return cut
		case <-tick.C:
		}
		l.mu.Lock()
		conn := l.conns[l.rng.IntN(loadDevices)]
		reset := l.rng.IntN(2) == 0
		l.mu.Unlock()
		if conn == nil {
			continue
		}
		if tcp, ok := conn.(*net.TCPConn); ok && reset {
			tcp.SetLinger(0)
		}
		conn.Close()
		cut++
	}
}

// pushAll sends the pushes; each lane belongs to one goroutine, so that the
// order in which its messages were accepted is known.
func (l *load) pushAll(ctx context.Context) {
	api, limit := l.g.API(), rate.NewLimiter(loadRate, 10)
	const pushers = 20
	accepted := make([]map[string]int, pushers)
	var wg sync.WaitGroup
	for p := range pushers {
		accepted[p] = map[string]int{}
		rng := rand.New(rand.NewPCG(*seed, uint64(100+p)))
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range loadPushes / pushers {
				if limit.Wait(ctx) != nil {
					return
				}
				device := "load-" + strconv.Itoa(p+pushers*rng.IntN(loadDevices/pushers))
				name := l.products[rng.IntN(len(l.products))]
				n := accepted[p][device+"/"+name]
				text := strconv.Itoa(n)
				rep, err := api.Push(ctx, client.PushRequest{Product: name, Device: device, Text: &text})
				if err != nil {
					l.t.Errorf("push: %v", err)
					return
				}
				if rep.Results[0].State == "sent" {
					l.sent.Add(1)
				}
				accepted[p][device+"/"+name] = n + 1
			}
		}()
	}
	wg.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.want = map[string]int{}
	for _, m := range accepted {
		for lane, n := range m {
			l.want[lane] = n
		}
	}
	if l.t.Failed() {
		l.t.FailNow()
	}
}

func (l *load) missing() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	for lane, n := range l.want {
		if got := len(l.got[lane]); got < n {
			return fmt.Sprintf("lane %s has %d of %d", lane, got, n)
		}
	}
	return "no lane lacks one: some came twice"
}

func (l *load) check() {
	for lane, n := range l.want {
		got := l.got[lane]
		for i := range got {
			if got[i] != i {
				l.t.Errorf("lane %s: the app saw %v, want 0 to %d in order", lane, got, n-1)
				break
			}
		}
		if len(got) != n {
			l.t.Errorf("lane %s: %d messages seen, %d accepted", lane, len(got), n)
		}
	}
}

func (l *load) duplicates() (n uint64) {
	for _, c := range l.clients {
		n += c.Stats().Duplicates
	}
	return n
}
