package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"
)

// Limits of waiting.
const (
	pollEvery = 50 * time.Millisecond
	stalled   = loginLimit + 5*time.Second // logins without any progress
	settle    = 5 * time.Second            // deliveries without any progress
	quiet     = 200 * time.Millisecond     // for what follows the last delivery: acks, trims
)

// crew is the workers of one side, with all its devices.
type crew struct {
	workers []*child
	devices int
}

// descriptors that a worker or floor needs for itself, beside one per
// connection.
const spareFiles = 64

// perProcess is how many connections one process may hold.
func perProcess() int {
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil || r.Cur > maxConnections+spareFiles {
		return maxConnections
	}
	return max(int(r.Cur)-spareFiles, 1)
}

// processesFor is how many processes n connections take, at least as many as
// asked for.
func processesFor(n, atLeast int) int {
	per := perProcess()
	return min(max((n+per-1)/per, atLeast, 1), n)
}

// startCrew starts the workers and deals the devices out.
func startCrew(ctx context.Context, o *Options, devices []credential) (*crew, error) {
	n := processesFor(len(devices), o.Workers)
	c := &crew{devices: len(devices)}
	share := (len(devices) + n - 1) / n
	for i := range n {
		w, err := startChild(ctx, o.Child, RoleWorker, fmt.Sprintf("worker %d", i+1))
		if err != nil {
			return nil, errors.Join(err, c.end())
		}
		c.workers = append(c.workers, w)
		mine := devices[min(i*share, len(devices)):min((i+1)*share, len(devices))]
		for some := range slices.Chunk(mine, 1000) {
			if _, err := w.ask(order{Op: opDevices, Devices: some}); err != nil {
				return nil, errors.Join(err, c.end())
			}
		}
	}
	return c, nil
}

// connect logs all devices in and returns when each has logged in or has been
// given up.
func (c *crew) connect(ctx context.Context, o *Options, run uint64, s *side) (fleetCount, error) {
	n := len(c.workers)
	err := each(c.workers, func(i int) order {
		return order{Op: opConnect, Fleet: &fleetSpec{
			Run: run, Product: s.product, Addrs: rotate(s.addrs, i), Source: source(run, i, s.addrs),
			Rate: o.LoginRate / float64(n), InFlight: max(o.InFlight/n, 1), HeartbeatMS: uint32(o.Heartbeat.Milliseconds()),
		}}
	}, nil)
	if err != nil {
		return fleetCount{}, err
	}
	return c.await(ctx, stalled, func(f *fleetCount) (int, bool) { return f.settled() + f.Dialed, f.settled() == c.devices })
}

// await polls the count until done, or until progress has stood still for the
// patience given; that is no error, the count says what is missing.
func (c *crew) await(ctx context.Context, patience time.Duration, look func(*fleetCount) (progress int, done bool)) (fleetCount, error) {
	last, since := -1, time.Now()
	for {
		f, err := c.count()
		if err != nil {
			return f, err
		}
		progress, done := look(&f)
		if progress != last {
			last, since = progress, time.Now()
		}
		if done || time.Since(since) > patience {
			return f, nil
		}
		if err := sleepUntil(ctx, time.Now().Add(pollEvery)); err != nil {
			return f, err
		}
	}
}

// count adds the workers' counts up.
func (c *crew) count() (fleetCount, error) {
	sum := newFleetCount()
	err := each(c.workers, func(int) order { return order{Op: opCount} }, func(_ int, a answer) {
		if a.Fleet != nil {
			sum.merge(a.Fleet)
		}
	})
	return sum, err
}

// seen is the union of the numbers seen, and how many were seen by more than
// one worker.
func (c *crew) seen() (all numbers, twice int, err error) {
	sum := 0
	err = each(c.workers, func(int) order { return order{Op: opSeen} }, func(_ int, a answer) {
		sum += a.Seen.count()
		all.merge(a.Seen)
	})
	return all, sum - all.count(), err
}

// cpu is the CPU time of the workers so far.
func (c *crew) cpu() (sum time.Duration, err error) {
	for _, w := range c.workers {
		t, err := cpuOf(w.pid())
		if err != nil {
			return 0, err
		}
		sum += t
	}
	return sum, nil
}

// leave says goodbye on every connection.
func (c *crew) leave() error {
	return each(c.workers, func(int) order { return order{Op: opLeave} }, nil)
}

// end stops the workers.
func (c *crew) end() (err error) {
	for _, w := range c.workers {
		err = errors.Join(err, w.end())
	}
	return err
}

// source is the local address of a worker: each has its own, so that the ports
// of one address do not bound the fleet, and each run has others, so that the
// ports of the last one may rest. Only 127.0.0.0/8 has so many.
func source(run uint64, worker int, addrs []string) string {
	for _, a := range addrs {
		if ap, err := loopback("", a); err != nil || !ap.Addr().Is4() {
			return ""
		}
	}
	return fmt.Sprintf("127.%d.%d.%d", 16+run%200, 1+run>>8%250, 1+worker%250)
}

// rotate lets each worker begin at another address.
func rotate(addrs []string, by int) []string {
	by %= len(addrs)
	return append(append([]string(nil), addrs[by:]...), addrs[:by]...)
}
