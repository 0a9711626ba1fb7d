package saver

import (
	"context"
	"sync"
	"time"

	"longlink/saver/lane"
	"longlink/saver/ledger"
)

// cursors brings acks into the ledger behind their answers: the highest of each
// lane, in batches. What is lost when a saver dies comes back with the cursors
// that the devices themselves bring.
type cursors struct {
	ledger *ledger.Ledger
	fails  *trouble
	m      *metrics
	every  time.Duration
	limit  int // lanes that may wait
	tooOld time.Duration

	full chan struct{} // capacity 1: many wait, do not await the tick

	// flushing is held over one flush, and for reading over a rebuild's look at
	// the ledger: a cursor is then either in what the rebuild reads or still
	// here, never between.
	flushing sync.RWMutex
	mu       sync.Mutex
	waiting  map[lane.Ref]uint64
	leaving  map[lane.Ref]uint64 // in the flush that runs
}

// flushBatch lanes go into one transaction, and so many waiting lanes start a
// flush before its time.
const flushBatch = 2000

func newCursors(s *Saver) *cursors {
	return &cursors{ledger: s.ledger, fails: s.troubles.cursors, m: s.metrics, every: s.cfg.Work.CursorFlush.Std(), limit: s.cfg.Work.CursorPending,
		tooOld: s.cfg.Ledger.Timeout.Std(), full: make(chan struct{}, 1), waiting: map[lane.Ref]uint64{}}
}

// room is false when an ack of this lane could not be kept.
func (c *cursors) room(ref lane.Ref) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, known := c.waiting[ref]
	return known || len(c.waiting)+len(c.leaving) < c.limit
}

// put keeps a cursor until it is in the ledger. A lane too many is left out:
// acks ask room before, and a login's cursor comes again.
func (c *cursors) put(ref lane.Ref, cursor uint64) {
	c.mu.Lock()
	old, known := c.waiting[ref]
	if cursor > old && (known || len(c.waiting)+len(c.leaving) < c.limit+flushBatch) {
		c.waiting[ref] = cursor
	}
	n := len(c.waiting)
	c.mu.Unlock()
	c.m.cursors.Set(float64(n))
	if n >= flushBatch {
		select {
		case c.full <- struct{}{}:
		default:
		}
	}
}

// get is the highest cursor of a lane that is not yet in the ledger; 0: none.
func (c *cursors) get(ref lane.Ref) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return max(c.waiting[ref], c.leaving[ref])
}

// of are the cursors of a slot that are not yet in the ledger.
func (c *cursors) of(slot uint16) map[lane.Ref]uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := map[lane.Ref]uint64{}
	for _, m := range []map[lane.Ref]uint64{c.leaving, c.waiting} {
		for ref, acked := range m {
			if ref.Slot == slot {
				all[ref] = max(acked, all[ref])
			}
		}
	}
	return all
}

// run flushes until ctx ends, and one last time then.
func (c *cursors) run(ctx context.Context) error {
	t := time.NewTicker(c.every)
	defer t.Stop()
	for ctx.Err() == nil {
		select {
		case <-t.C:
		case <-c.full:
		case <-ctx.Done():
		}
		if err := c.flush(context.WithoutCancel(ctx)); err != nil {
			c.fails.saw(1, err)
			select { // not faster than the ticker
			case <-t.C:
			case <-ctx.Done():
			}
			continue
		}
		c.fails.fine()
	}
	return nil
}

// flush writes everything that waited when it began.
func (c *cursors) flush(ctx context.Context) error {
	c.flushing.Lock()
	defer c.flushing.Unlock()
	c.mu.Lock()
	if len(c.waiting) == 0 {
		c.mu.Unlock()
		return nil
	}
	c.leaving, c.waiting = c.waiting, map[lane.Ref]uint64{}
	all := make([]ledger.Cursor, 0, len(c.leaving))
	for ref, acked := range c.leaving {
		all = append(all, ledger.Cursor{Slot: ref.Slot, Product: ref.Product, Device: ref.Device, Acked: acked})
	}
	c.mu.Unlock()

	var err error
	for rest := all; len(rest) > 0 && err == nil; {
		n := min(flushBatch, len(rest))
		fctx, cancel := context.WithTimeout(ctx, c.tooOld)
		err = c.ledger.SaveCursors(fctx, rest[:n])
		cancel()
		rest = rest[n:]
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		for ref, acked := range c.leaving {
			c.waiting[ref] = max(acked, c.waiting[ref])
		}
	}
	c.leaving = nil
	c.m.cursors.Set(float64(len(c.waiting)))
	return err
}
