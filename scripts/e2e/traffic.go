package e2e

import (
	"context"
	"errors"
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
	"longlink/pkg/code"
	"longlink/pkg/lifecycle"
	"longlink/pkg/sdk"
)

// Traffic is devices made of the SDK, pushes to them, and the books on both:
// what was accepted for each lane, and what the app saw of it, when.
type Traffic struct {
	t           testing.TB
	apis        []*client.Client // one a center, never repeating by themselves
	dispatchers []string
	products    []string // pushed to
	quiet       string   // set before StartDevices: bound as well, and left to qos 0 probes
	devices     []*trafficDevice

	connects, received, answered atomic.Int64

	mu    sync.Mutex // guards what follows and the fields of lanes, pushes and devices
	lanes map[string]*lane
}

// trafficDevice is one device, with its own truth about its connection.
type trafficDevice struct {
	id     string
	client *sdk.Client
	conn   net.Conn
	since  time.Time // connected since; zero: not connected
}

// lane holds the pushes of one device and product in the order in which they
// were accepted; the payload of each is its place in pushes.
type lane struct {
	pushes []*pushed
	seen   []int // places in the order in which the app saw them
}

// pushed is one push.
type pushed struct {
	lane     string
	began    time.Time // of the first try
	answered time.Time
	state    string
	tries    int
	online   bool      // at the begin: connected by the device's own account, for longer than onlineFor
	seen     time.Time // first sight by the app
}

// waited is how long the app waited for it, from the first try on.
func (p *pushed) waited() time.Duration { return p.seen.Sub(p.began) }

// onlineFor is how long after a login everybody must know of it.
const onlineFor = 2 * time.Second

// pushLimit bounds the tries of one push; tryLimit one of them.
const (
	pushLimit = 60 * time.Second
	tryLimit  = 10 * time.Second
)

// NewTraffic makes devices PREFIX-0 and up; StartDevices starts them. The
// products must exist.
func NewTraffic(t testing.TB, centers []string, key string, dispatchers, products []string, prefix string, devices int) *Traffic {
	tr := &Traffic{t: t, dispatchers: dispatchers, products: products, lanes: map[string]*lane{}}
	for _, url := range centers {
		c, err := client.New(client.Config{Center: url, APIKey: key, Tries: 1})
		if err != nil {
			t.Fatal(err)
		}
		tr.apis = append(tr.apis, c)
	}
	for i := range devices {
		tr.devices = append(tr.devices, &trafficDevice{id: prefix + "-" + strconv.Itoa(i)})
	}
	return tr
}

// IDs names all devices.
func (tr *Traffic) IDs() (out []string) {
	for _, d := range tr.devices {
		out = append(out, d.id)
	}
	return out
}

// StartDevices runs the devices in a group and returns when each has connected
// once.
func (tr *Traffic) StartDevices(group *lifecycle.Group) {
	tr.t.Helper()
	for _, d := range tr.devices {
		var products []sdk.Product
		for _, p := range tr.bound() {
			products = append(products, sdk.Product{Name: p})
		}
		c, err := sdk.New(sdk.Config{
			Device: d.id, Products: products, Dispatcher: tr.dispatchers, Network: "wifi",
			Token:          func(ctx context.Context) (string, error) { return tr.token(ctx, d.id) },
			Handler:        func(_ context.Context, m sdk.Message) error { return tr.saw(d.id, m) },
			OnConnected:    func(sdk.Connected) { tr.connects.Add(1); tr.connected(d, time.Now()) },
			OnDisconnected: func(sdk.Disconnected) { tr.connected(d, time.Time{}) },
			Backoff:        sdk.Backoff{Base: 50 * time.Millisecond, Max: time.Second, Jitter: 0.5},
			Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
				conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
				if err == nil {
					tr.mu.Lock()
					d.conn = conn
					tr.mu.Unlock()
				}
				return conn, err
			},
		})
		if err != nil {
			tr.t.Fatal(err)
		}
		d.client = c
		group.Go("device", c.Run)
	}
	await(tr.t, "all devices to connect", 60*time.Second, func() error {
		if n := len(tr.Online(0)); n < len(tr.devices) {
			return fmt.Errorf("%d of %d are connected", n, len(tr.devices))
		}
		return nil
	})
}

// bound lists the products on each device's connection.
func (tr *Traffic) bound() []string {
	if tr.quiet == "" {
		return tr.products
	}
	return append([]string{tr.quiet}, tr.products...)
}

func (tr *Traffic) token(ctx context.Context, device string) (string, error) {
	var errs []error
	for _, api := range tr.apis {
		t, err := api.CreateToken(ctx, client.TokenRequest{Device: device, Products: tr.bound()})
		if err == nil {
			return t.Token, nil
		}
		errs = append(errs, err)
	}
	return "", errors.Join(errs...)
}

func (tr *Traffic) connected(d *trafficDevice, since time.Time) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	d.since = since
}

// Online lists the devices that are connected, by their own account, for longer
// than a time.
func (tr *Traffic) Online(longer time.Duration) (out []string) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for _, d := range tr.devices {
		if !d.since.IsZero() && time.Since(d.since) >= longer {
			out = append(out, d.id)
		}
	}
	return out
}

// saw is the app.
func (tr *Traffic) saw(device string, m sdk.Message) error {
	if m.Seq == 0 {
		return nil // a qos 0 probe
	}
	n, err := strconv.Atoi(string(m.Payload))
	if err != nil {
		return err
	}
	tr.mu.Lock()
	defer tr.mu.Unlock()
	l := tr.lanes[device+"/"+m.Product]
	if l == nil || n < 0 || n >= len(l.pushes) {
		return fmt.Errorf("message %q was never pushed", m.Payload)
	}
	l.seen = append(l.seen, n)
	if l.pushes[n].seen.IsZero() {
		l.pushes[n].seen = time.Now()
	}
	tr.received.Add(1)
	return nil
}

// Cut closes the connection of a device from its side, with a reset if asked;
// false when it had none.
func (tr *Traffic) Cut(i int, reset bool) bool {
	tr.mu.Lock()
	conn := tr.devices[i].conn
	tr.mu.Unlock()
	if conn == nil {
		return false
	}
	if tcp, ok := conn.(*net.TCPConn); ok && reset {
		tcp.SetLinger(0)
	}
	conn.Close()
	return true
}

// Push sends so many messages, at a rate per second, to devices and products of
// the seed's choice. Each lane belongs to one goroutine, so that the order in
// which its messages are accepted is known. It fails the test when a push is
// refused for good.
func (tr *Traffic) Push(ctx context.Context, count int, perSecond float64, seed uint64) {
	const pushers = 20
	limit := rate.NewLimiter(rate.Limit(perSecond), 10)
	var wg sync.WaitGroup
	for p := range pushers {
		rng := rand.New(rand.NewPCG(seed, uint64(100+p)))
		wg.Go(func() {
			for range count / pushers {
				if limit.Wait(ctx) != nil {
					return
				}
				device := tr.devices[p+pushers*rng.IntN(len(tr.devices)/pushers)]
				product := tr.products[rng.IntN(len(tr.products))]
				if err := tr.pushOne(ctx, p+rng.IntN(len(tr.apis)), device, product); err != nil {
					tr.t.Errorf("push to %s: %v", device.id, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// pushOne pushes the next message of a lane: from center to center, as the code
// of the error says, always with the same dedup_id, until it is accepted.
func (tr *Traffic) pushOne(ctx context.Context, first int, d *trafficDevice, product string) error {
	device := d.id
	key := device + "/" + product
	p := &pushed{lane: key, began: time.Now()}
	tr.mu.Lock()
	p.online = !d.since.IsZero() && time.Since(d.since) > onlineFor
	l := tr.lanes[key]
	if l == nil {
		l = &lane{}
		tr.lanes[key] = l
	}
	text := strconv.Itoa(len(l.pushes))
	l.pushes = append(l.pushes, p)
	tr.mu.Unlock()
	req := client.PushRequest{Product: product, Device: device, Text: &text, DedupID: device + "-" + text}
	for try := 0; ; try++ {
		state, err := tr.try(ctx, tr.apis[(first+try)%len(tr.apis)], req)
		if err == nil {
			tr.mu.Lock()
			p.answered, p.state, p.tries = time.Now(), state, try+1
			tr.mu.Unlock()
			tr.answered.Add(1)
			return nil
		}
		wait, again := retryAfter(err, try)
		if !again || time.Since(p.began) > pushLimit {
			return fmt.Errorf("message %s after %d tries in %s: %w", text, try+1, time.Since(p.began).Round(time.Millisecond), err)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return err
		}
	}
}

func (tr *Traffic) try(ctx context.Context, api *client.Client, req client.PushRequest) (state string, err error) {
	ctx, cancel := context.WithTimeout(ctx, tryLimit)
	defer cancel()
	rep, err := api.Push(ctx, req)
	if err != nil {
		return "", err
	}
	r := rep.Results[0]
	if r.Error == nil {
		return r.State, nil
	}
	c, ok := code.Lookup(r.Error.Code)
	if !ok {
		c = code.Internal
	}
	return "", &client.Error{Cause: &code.Error{Code: c, Message: r.Error.Message, Retry: time.Duration(r.Error.RetryAfterMS) * time.Millisecond}}
}

// retryAfter is how a caller with several centers reads an error: no answer at
// all means the next center, a code what the table says.
func retryAfter(err error, try int) (wait time.Duration, again bool) {
	wait = min(time.Second, 20*time.Millisecond<<min(try, 6))
	wait = wait/2 + rand.N(wait/2)
	var ae *client.Error
	if !errors.As(err, &ae) {
		return wait, true
	}
	switch ae.Cause.Code.Action() {
	case code.RetryNow, code.RetryAfter, code.OtherAddress:
		return wait, true
	}
	return 0, false
}
