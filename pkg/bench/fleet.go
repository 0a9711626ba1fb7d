package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"

	"longlink/pkg/lifecycle"
)

// Bounds and defaults of a worker.
const (
	dialers    = 4                      // goroutines that connect, one connection at a time each
	fleetTick  = 100 * time.Millisecond // resolution of timeouts and heartbeats
	loginLimit = 15 * time.Second       // for the WELCOME, and again for the BOUND (docs/protocol.md)
	readBuffer = 64 << 10
)

// credential is one device.
type credential struct {
	ID    string `json:"id"`
	Token string `json:"token"`
}

// fleetSpec says how a worker's devices connect.
type fleetSpec struct {
	Run         uint64   `json:"run"`
	Product     string   `json:"product"`
	Addrs       []string `json:"addrs"`               // taken in turn
	Source      string   `json:"source,omitempty"`    // local IP; several make room for more than 28,000 ports
	Rate        float64  `json:"rate,omitempty"`      // logins/s; 0: as fast as InFlight allows
	InFlight    int      `json:"in_flight"`           // logins begun and not ended, at most
	HeartbeatMS uint32   `json:"heartbeat,omitempty"` // wished for; 0: the room's
}

// fleet is a worker: many devices on one event loop.
type fleet struct {
	engine *gnet.Client
	group  *lifecycle.Group
	dialer net.Dialer
	slots  chan struct{} // one per login in flight
	next   atomic.Int64  // device to dial
	began  time.Time

	// Set before the engine starts, constant after.
	spec    fleetSpec
	devices []*device

	// Guarded by mu, which every handler takes once: the loop hardly ever waits.
	mu    sync.Mutex
	el    gnet.EventLoop // known from the first connection on
	count fleetCount
	seen  numbers
	hand  float64 // position of the heartbeat's clock hand in devices
	turn  time.Time
	open  map[*device]struct{} // logins in flight
	bind  map[*device]struct{} // BINDs to be repeated

	// The loop's own.
	inside  bool
	product []byte
	scratch []byte
}

func newFleet() *fleet {
	return &fleet{open: map[*device]struct{}{}, bind: map[*device]struct{}{}, count: newFleetCount()}
}

func (f *fleet) handle(o order) (answer, error) {
	switch o.Op {
	case opDevices:
		if f.group != nil {
			return answer{}, errors.New("devices come before connect")
		}
		for _, c := range o.Devices {
			f.devices = append(f.devices, &device{fleet: f, id: c.ID, token: c.Token})
		}
		return answer{}, nil
	case opConnect:
		if o.Fleet == nil || f.group != nil || len(o.Fleet.Addrs) == 0 {
			return answer{}, errors.New("connect needs addresses and comes once")
		}
		return answer{}, f.start(*o.Fleet)
	case opCount:
		f.mu.Lock()
		defer f.mu.Unlock()
		c := f.count.clone()
		return answer{Fleet: &c}, nil
	case opSeen:
		f.mu.Lock()
		defer f.mu.Unlock()
		return answer{Seen: append(numbers(nil), f.seen...)}, nil
	case opLeave:
		return answer{}, f.leave()
	}
	return answer{}, fmt.Errorf("a worker knows no %q", o.Op)
}

func (f *fleet) start(spec fleetSpec) error {
	f.spec, f.product = spec, []byte(spec.Product)
	f.dialer.Timeout = loginLimit
	if spec.Source != "" {
		ip, err := netip.ParseAddr(spec.Source)
		if err != nil {
			return err
		}
		f.dialer.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(ip, 0))
	}
	var err error
	f.engine, err = gnet.NewClient(&fleetHandler{fleet: f},
		gnet.WithNumEventLoop(1), gnet.WithReadBufferCap(readBuffer), gnet.WithTCPNoDelay(gnet.TCPDelay), // net.Dialer has set it
		gnet.WithLogger(silent{}))
	if err == nil {
		err = f.engine.Start()
	}
	if err != nil {
		return fmt.Errorf("the event loop did not start: %w", err)
	}
	f.slots = make(chan struct{}, max(spec.InFlight, 1))
	f.began = time.Now()
	f.turn = f.began
	f.group = lifecycle.NewGroup(context.Background(), nil, nil)
	for range dialers {
		f.group.Go("bench dialer", f.dial)
	}
	f.group.Go("bench ticker", f.tick)
	return nil
}

// dial connects one device after the other, at the rate, while there are slots.
func (f *fleet) dial(ctx context.Context) error {
	for {
		i := f.next.Add(1) - 1
		if i >= int64(len(f.devices)) {
			return nil
		}
		if f.spec.Rate > 0 {
			due := f.began.Add(time.Duration(float64(i) / f.spec.Rate * float64(time.Second)))
			if err := sleepUntil(ctx, due); err != nil {
				return err
			}
		}
		select {
		case f.slots <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		d := f.devices[i]
		f.mu.Lock()
		d.began = time.Now()
		f.count.dialed(d.began)
		f.open[d] = struct{}{}
		f.mu.Unlock()
		nc, err := f.dialer.DialContext(ctx, "tcp", f.spec.Addrs[i%int64(len(f.spec.Addrs))])
		if err == nil {
			_, err = f.engine.EnrollContext(nc, d)
		}
		f.mu.Lock()
		if err != nil || d.state == stateNew { // gnet swallows a failed registration
			d.endFor(endDial)
		}
		f.mu.Unlock()
	}
}

// tick drives timeouts and heartbeats on the loop.
func (f *fleet) tick(ctx context.Context) error {
	t := time.NewTicker(fleetTick)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		f.mu.Lock()
		el := f.el
		f.mu.Unlock()
		if el != nil {
			_ = el.Execute(ctx, gnet.RunnableFunc(f.ticked)) // fails only when the engine has ended
		}
	}
}

func (f *fleet) ticked(context.Context) error {
	f.enter()
	defer f.exit()
	now := time.Now()
	for d := range f.open {
		if now.Sub(d.began) > loginLimit {
			d.endFor(endTimeout)
			if d.gc != nil {
				_ = f.el.Close(d.gc) // runs OnClose
			}
		}
	}
	for d := range f.bind {
		if !now.Before(d.again) {
			delete(f.bind, d)
			d.rebind()
		}
	}
	f.heartbeat(now)
	return nil
}

// heartbeat moves a clock hand over the devices so that it goes round once in
// nine tenths of the shortest interval that a room gave: whom it passes sends
// PING. That spreads the pings evenly and costs no timer per device. A device
// whose last PING has not been answered when the hand comes again is dead.
func (f *fleet) heartbeat(now time.Time) {
	n := len(f.devices)
	passed := now.Sub(f.turn)
	f.turn = now
	if f.count.HeartbeatMS == 0 || n == 0 {
		return
	}
	round := time.Duration(f.count.HeartbeatMS) * time.Millisecond * 9 / 10
	from := int(f.hand)
	f.hand += min(float64(passed)/float64(round), 1) * float64(n)
	for i := from; i < int(f.hand); i++ {
		if d := f.devices[i%n]; d.state == stateLive {
			d.ping()
		}
	}
	if f.hand >= float64(n) {
		f.hand -= float64(n)
	}
}

// leave says BYE on every connection and waits, for a bounded time, until the
// rooms have closed them.
func (f *fleet) leave() error {
	if f.group == nil {
		return nil
	}
	f.group.Cancel()
	err := f.group.Wait()
	f.mu.Lock()
	el := f.el
	f.mu.Unlock()
	if el == nil {
		return err
	}
	if xerr := el.Execute(context.Background(), gnet.RunnableFunc(func(context.Context) error {
		f.enter()
		defer f.exit()
		for _, d := range f.devices {
			d.leave()
		}
		return nil
	})); xerr != nil {
		return errors.Join(err, xerr)
	}
	for end := time.Now().Add(childGrace / 2); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		f.mu.Lock()
		left := f.count.Open
		f.mu.Unlock()
		if left == 0 {
			break
		}
	}
	return err
}

// close ends everything; the fleet cannot be used any more.
func (f *fleet) close() error {
	if f.group == nil {
		return nil
	}
	f.group.Cancel()
	return errors.Join(f.group.Wait(), f.engine.Stop())
}

func sleepUntil(ctx context.Context, due time.Time) error {
	wait := time.Until(due)
	if wait <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// silent is gnet's logger in children: what matters is counted or returned.
type silent struct{}

func (silent) Debugf(string, ...any) {}
func (silent) Infof(string, ...any)  {}
func (silent) Warnf(string, ...any)  {}
func (silent) Errorf(string, ...any) {}
func (silent) Fatalf(string, ...any) {}
