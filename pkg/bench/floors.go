package bench

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// floors are the bare servers of one run: one process, or as many as the limit
// on open files asks for.
type floors struct {
	children []*child
	addrs    []string
	procs    []proc
}

func startFloors(ctx context.Context, o *Options, run uint64) (*floors, error) {
	fs := &floors{}
	for i := range processesFor(o.Connections, 1) {
		c, err := startChild(ctx, o.Child, RoleFloor, fmt.Sprintf("floor %d", i+1))
		if err != nil {
			return nil, errors.Join(err, fs.end())
		}
		fs.children = append(fs.children, c)
		a, err := c.ask(order{Op: opListen, Run: run})
		if err != nil {
			return nil, errors.Join(err, fs.end())
		}
		fs.addrs = append(fs.addrs, a.Addr)
		fs.procs = append(fs.procs, proc{c.name, c.pid()})
	}
	return fs, nil
}

func (fs *floors) end() (err error) {
	for _, c := range fs.children {
		err = errors.Join(err, c.end())
	}
	return err
}

func (fs *floors) side(o *Options, unicast bool) *side {
	s := &side{name: "floor", addrs: fs.addrs, product: floorProduct, procs: fs.procs}
	if unicast {
		s.load = func(ctx context.Context) (sent, error) { return fs.load(ctx, o) }
		s.pending = func(context.Context) (int, error) {
			n := 0
			err := fs.counts(func(_ int, c *floorCount) { n += c.Sent - c.Acked })
			return n, err
		}
	}
	return s
}

// load gives each floor its share: without a rate of what may be outstanding,
// which is the gateway's number of callers.
func (fs *floors) load(ctx context.Context, o *Options) (sent, error) {
	n := len(fs.children)
	most := MaxMessages
	if o.Messages > 0 {
		most = o.Messages
	}
	out := sent{}
	began := time.Now()
	err := each(fs.children, func(i int) order {
		return order{Op: opLoad, Load: &floorLoad{
			Index: i, Of: n, Messages: (most + n - 1 - i) / n, Duration: o.Duration, Rate: o.Rate / float64(n),
			Outstanding: max(o.Concurrency/n, 1), Payload: o.Payload,
		}}
	}, nil)
	if err != nil {
		return out, err
	}
	for done := false; !done; {
		if err := sleepUntil(ctx, time.Now().Add(pollEvery)); err != nil {
			return out, err
		}
		// One whose messages were lost in broken connections does not end by
		// itself.
		done = time.Since(began) > o.Duration+settle
		ended := 0
		if err := fs.counts(func(_ int, c *floorCount) {
			if c.Done {
				ended++
			}
		}); err != nil {
			return out, err
		}
		done = done || ended == n
	}
	return out, fs.counts(func(i int, c *floorCount) {
		for k := range c.Sent {
			out.accepted.add(uint64(k*n + i))
		}
	})
}

func (fs *floors) counts(take func(i int, c *floorCount)) error {
	return each(fs.children, func(int) order { return order{Op: opCount} }, func(i int, a answer) {
		if a.Floor != nil {
			take(i, a.Floor)
		}
	})
}
