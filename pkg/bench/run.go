package bench

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"time"

	"longlink/pkg/version"
)

// side is one of the two that are put under the same load.
type side struct {
	name    string
	addrs   []string
	product string
	procs   []proc
	// load sends the messages of Unicast and says what was sent.
	load func(ctx context.Context) (sent, error)
	// pending is how many messages the server holds as unacknowledged.
	pending func(ctx context.Context) (int, error)
}

// sent is what a load has sent.
type sent struct {
	accepted numbers        // taken by the server
	states   map[string]int // answers by state
	rejected map[string]int // refusals by code
	skipped  int            // with a rate: calls that were due and never begun
	answer   Histogram      // API call to its answer
	late     Histogram      // with a rate: how late calls began
}

// Connect measures logins: connections, rate, latency, CPU per login, memory
// per connection.
func Connect(ctx context.Context, o Options) (*Result, error) { return run(ctx, &o, false) }

// Unicast measures messages to single devices, each through POST /v1/push.
func Unicast(ctx context.Context, o Options) (*Result, error) { return run(ctx, &o, true) }

func run(ctx context.Context, o *Options, unicast bool) (_ *Result, err error) {
	if err := o.Check(unicast); err != nil {
		return nil, err
	}
	id := rand.Uint64()
	g, err := openGateway(ctx, o)
	if err != nil {
		return nil, err
	}
	defer g.close()
	fmt.Fprintf(o.Log, "making %d device tokens\n", o.Connections)
	devices, err := g.credentials(ctx, id, o.Connections, o.Product)
	if err != nil {
		return nil, err
	}
	r := &Result{Bench: "connect", Started: time.Now().UTC().Format(time.RFC3339), Version: version.String(), Go: runtime.Version(), CPUs: runtime.NumCPU(), Options: settings(o, unicast)}
	gate := &side{name: "gateway", addrs: g.rooms, product: o.Product, procs: g.procs}
	if unicast {
		r.Bench = "unicast"
		gate.load = func(ctx context.Context) (sent, error) { return g.push(ctx, o, id, devices) }
		gate.pending = func(ctx context.Context) (int, error) { return g.pending(ctx, devices, o.Product) }
	}
	if r.Gateway, err = measure(ctx, o, id, gate, devices); err != nil {
		return nil, err
	}
	if !o.Floor {
		return r, nil
	}
	bare, err := startFloors(ctx, o, id)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, bare.end()) }()
	floor, err := measure(ctx, o, id, bare.side(o, unicast), devices)
	if err != nil {
		return nil, err
	}
	r.Floor = floor
	r.Ratios = ratios(r.Gateway, r.Floor)
	return r, nil
}

// measure puts one side under the load.
func measure(ctx context.Context, o *Options, id uint64, s *side, devices []credential) (_ *Figures, err error) {
	c, err := startCrew(ctx, o, devices)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.end()) }()
	fig := &Figures{Workers: len(c.workers)}
	m, err := newMeter(s.procs)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(o.Log, "%s: connecting %d devices from %d processes\n", s.name, len(devices), len(c.workers))
	count, err := c.connect(ctx, o, id, s)
	if err != nil {
		return nil, err
	}
	login, err := m.lap()
	if err != nil {
		return nil, err
	}
	fig.logins(&count, login)
	if count.LoggedIn == 0 {
		return nil, fmt.Errorf("%s: no device could log in: %s", s.name, list(count.Refused))
	}
	if err := sleepUntil(ctx, time.Now().Add(max(o.Hold, minHold))); err != nil {
		return nil, err
	}
	idle, err := m.lap()
	if err != nil {
		return nil, err
	}
	fig.idle(idle)
	if s.load != nil {
		if count.Live != len(devices) {
			return nil, fmt.Errorf("%s: only %d of %d devices are logged in (refused: %s; broken: %s); connect them more slowly with --login-rate or --in-flight", s.name, count.Live, len(devices), list(count.Refused), list(count.Broken))
		}
		if err := c.deliver(ctx, o, s, m, fig); err != nil {
			return nil, err
		}
	}
	if count, err = c.count(); err != nil {
		return nil, err
	}
	fig.ends(&count)
	return fig, c.leave()
}

// deliver runs the load and waits for what is on its way.
func (c *crew) deliver(ctx context.Context, o *Options, s *side, m *meter, fig *Figures) error {
	fmt.Fprintf(o.Log, "%s: sending\n", s.name)
	before, err := c.cpu()
	if err != nil {
		return err
	}
	out, err := s.load(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	accepted := out.accepted.count()
	count, err := c.await(ctx, settle, func(f *fleetCount) (int, bool) { return f.Delivered, f.Delivered >= accepted })
	if err != nil {
		return err
	}
	if err := sleepUntil(ctx, time.Now().Add(quiet)); err != nil {
		return err
	}
	load, err := m.lap()
	if err != nil {
		return err
	}
	after, err := c.cpu()
	if err != nil {
		return err
	}
	if count, err = c.count(); err != nil {
		return err
	}
	seen, twice, err := c.seen()
	if err != nil {
		return err
	}
	fig.messages(&count, &out, seen, twice, load, after-before)
	if s.pending == nil {
		return nil
	}
	// Acks go to the store behind the delivery; ask until all are in.
	for end := time.Now().Add(settle); ; {
		if fig.Pending, err = s.pending(ctx); err != nil || fig.Pending == 0 || time.Now().After(end) {
			return err
		}
		if err := sleepUntil(ctx, time.Now().Add(4*pollEvery)); err != nil {
			return err
		}
	}
}

// list is a map of counts in a sentence.
func list(m map[string]int) string {
	if len(m) == 0 {
		return "none"
	}
	var s []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		s = append(s, fmt.Sprintf("%s %d", k, m[k]))
	}
	return strings.Join(s, ", ")
}
