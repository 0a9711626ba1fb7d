package saver

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"longlink/pkg/lifecycle"
	"longlink/pkg/slot"
)

// rebuilds brings slots back from the ledger when Redis lost them: those that
// somebody waits for first, then all others at a pace that costs little.
// Several savers may do the same slot at once; the scripts make that harmless.
type rebuilds struct {
	s *Saver

	wake chan struct{} // capacity 1: somebody waits

	mu      sync.Mutex
	waiting map[uint16]*rebuild // also those being rebuilt
	order   []uint16            // waiting and not begun, first come first
	running int
	run     string // Redis run that the states below are of
	ready   [slot.Count]bool
	nReady  int
	failing bool     // the last rebuild failed: said once
	walk    []uint16 // tags still to be looked at
}

// rebuild is one slot that is waited for.
type rebuild struct {
	done chan struct{}
	err  error // set before done is closed
}

// rebuildChunk is how many slots one query reads: the slots of one tag.
const rebuildChunk = slot.PerTag

// lookEvery is how often a saver without traffic looks whether Redis is still
// the same.
const lookEvery = 2 * time.Second

var errRunChanged = errors.New("the run id of Redis changed under the connection")

func newRebuilds(s *Saver) *rebuilds {
	return &rebuilds{s: s, wake: make(chan struct{}, 1), waiting: map[uint16]*rebuild{}}
}

// wait returns nil once each of the slots has been rebuilt (or found to serve)
// for the Redis of the moment; run is the one that answered "not ready".
func (r *rebuilds) wait(ctx context.Context, run string, slots []uint16, until time.Time) error {
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	r.mu.Lock()
	r.changed(run)
	all := make([]*rebuild, len(slots))
	for i, s := range slots {
		b := r.waiting[s]
		if b == nil {
			b = &rebuild{done: make(chan struct{})}
			r.waiting[s] = b
			r.order = append(r.order, s)
		}
		all[i] = b
	}
	r.mu.Unlock()
	r.poke()
	for _, b := range all {
		select {
		case <-b.done:
			if b.err != nil {
				return b.err
			}
		case <-ctx.Done():
			return ctx.Err()
		case <-r.s.stopped:
			return errStopping
		}
	}
	return nil
}

func (r *rebuilds) poke() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// changed begins anew when Redis is another process than before. Under mu.
func (r *rebuilds) changed(run string) {
	if r.run == run {
		return
	}
	if r.run != "" {
		r.s.log.Warn("Redis is another process than before: every slot is checked and rebuilt from the ledger")
	}
	r.run, r.ready, r.nReady = run, [slot.Count]bool{}, 0
	// From a random place on, so that several savers share the work.
	r.walk = r.walk[:0]
	first := rand.N(slot.Count / slot.PerTag)
	for i := range slot.Count / slot.PerTag {
		r.walk = append(r.walk, uint16((first+i)%(slot.Count/slot.PerTag)))
	}
	r.show()
}

func (r *rebuilds) show() {
	g := r.s.metrics.rebuildSlots
	g.WithLabelValues("ready").Set(float64(r.nReady))
	g.WithLabelValues("waiting").Set(float64(len(r.order)))
	g.WithLabelValues("rebuilding").Set(float64(r.running))
	g.WithLabelValues("unseen").Set(float64(slot.Count - r.nReady))
}

// unready is how many slots are not known to serve the current Redis.
func (r *rebuilds) unready() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slot.Count - r.nReady
}

func (r *rebuilds) start(g *lifecycle.Group) {
	for i := range r.s.cfg.Rebuild.Workers {
		g.Go("saver.rebuild", func(ctx context.Context) error { return r.work(ctx, i == 0) })
	}
}

// work is one worker; the one that walks also does the slots nobody waits for.
func (r *rebuilds) work(ctx context.Context, walks bool) error {
	l := &link{store: r.s.store, log: r.s.log, away: r.s.troubles.redis}
	defer l.drop(nil)
	for ctx.Err() == nil {
		if slots := r.take(); len(slots) > 0 {
			err := r.chunk(ctx, l, slots)
			r.finish(slots, err)
			continue
		}
		pause := time.Duration(0)
		if walks {
			pause = r.step(ctx, l)
		}
		if walks && pause == 0 {
			continue
		}
		if !walks {
			pause = time.Hour
		}
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-r.wake:
		case <-ctx.Done():
		}
		t.Stop()
	}
	return nil
}

// take begins some of the slots that somebody waits for.
func (r *rebuilds) take() []uint16 {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := min(rebuildChunk, len(r.order))
	slots := append([]uint16(nil), r.order[:n]...)
	r.order = append(r.order[:0], r.order[n:]...)
	r.running += n
	if len(r.order) > 0 {
		r.poke() // for the other worker
	}
	r.show()
	return slots
}

func (r *rebuilds) finish(slots []uint16, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.running -= len(slots)
	for _, s := range slots {
		b := r.waiting[s]
		delete(r.waiting, s)
		b.err = err
		close(b.done)
	}
	r.show()
}

// step is one piece of the walk over all slots; it answers how long to rest.
func (r *rebuilds) step(ctx context.Context, l *link) time.Duration {
	r.mu.Lock()
	var slots []uint16
	if len(r.walk) > 0 {
		for i := range slot.PerTag {
			slots = append(slots, r.walk[0]*slot.PerTag+uint16(i))
		}
	} else {
		slots = []uint16{0} // nothing to do but to see whether Redis is the same
	}
	run := r.run
	r.mu.Unlock()
	if err := r.chunk(ctx, l, slots); err != nil {
		return lookEvery / 4
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.run != run {
		return r.s.cfg.Rebuild.Pause.Std()
	}
	if len(r.walk) > 0 {
		r.walk = r.walk[1:]
		if len(r.walk) == 0 {
			r.s.log.Info("every slot serves")
		}
	}
	if len(r.walk) == 0 {
		return lookEvery
	}
	return r.s.cfg.Rebuild.Pause.Std()
}

// chunk rebuilds the slots that do not serve the Redis behind the link. A
// connection that died while it rested is replaced once. It takes as long as it
// has rows; the stores' own timeouts end it when nothing moves.
func (r *rebuilds) chunk(ctx context.Context, l *link, slots []uint16) error {
	run, sick, err := r.recover(ctx, l, slots)
	if sick && ctx.Err() == nil {
		run, _, err = r.recover(ctx, l, slots)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.s.metrics.rebuilds.WithLabelValues("failed").Add(float64(len(slots)))
		if !r.failing && !errors.Is(err, context.Canceled) {
			r.failing = true
			r.s.log.Warn("slots could not be rebuilt; trying on while somebody waits", "slots", len(slots), "err", err)
		}
		return err
	}
	r.failing = false
	r.changed(run)
	for _, s := range slots {
		if !r.ready[s] {
			r.ready[s] = true
			r.nReady++
		}
	}
	r.show()
	return nil
}

// recover reads the ledger and brings it into the slots whose gen is missing or
// names another run. sick: the error is the connection's, which is given up.
func (r *rebuilds) recover(ctx context.Context, l *link, slots []uint16) (run string, sick bool, err error) {
	conn, err := l.get(ctx)
	if err != nil {
		return "", false, err
	}
	defer func() {
		if sick {
			l.drop(err)
		}
	}()
	states, err := conn.States(ctx, slots)
	if err != nil {
		return "", true, err
	}
	w := newRecovery(ctx, r.s, conn)
	var lost []uint16
	for i, st := range states {
		if st.Gen != conn.Run() {
			lost = append(lost, slots[i])
			w.want(slots[i], st)
		}
	}
	// Also where nothing is lost: who waits may have seen another run id than this
	// connection was dialled under.
	if same, err := conn.Same(ctx); !same {
		return "", true, errors.Join(errRunChanged, err)
	}
	if len(lost) == 0 {
		return conn.Run(), false, nil
	}
	if err := w.read(); err != nil {
		return "", w.sick, err
	}
	clocks, err := r.s.ledger.Clocks(ctx, lost)
	if err != nil {
		return "", false, err
	}
	if err := conn.Finish(ctx, lost, clocks); err != nil {
		return "", true, err
	}
	r.s.metrics.rebuilds.WithLabelValues("done").Add(float64(len(lost)))
	r.s.metrics.rebuiltRows.Add(float64(w.inserted))
	return conn.Run(), false, nil
}
