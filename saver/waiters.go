package saver

import (
	"context"
	"sync"
	"time"

	"longlink/pkg/api"
	"longlink/pkg/code"
	"longlink/saver/lane"
)

// waiters are the calls that wait for an ack, by lane. Those of one product are
// three quarters of the limit at most: one push can wait for 1,000 devices that
// are away for a minute, and the waits of other products must not end by that.
type waiters struct {
	limit int
	m     *metrics

	mu       sync.Mutex
	count    int
	products map[string]int // the count of each that has any
	lanes    map[lane.Ref]map[*waiter]struct{}
}

type waiter struct {
	seq   uint64
	acked chan struct{} // closed once
}

func newWaiters(limit int, m *metrics) *waiters {
	return &waiters{limit: limit, m: m, products: map[string]int{}, lanes: map[lane.Ref]map[*waiter]struct{}{}}
}

// add registers a waiter; nil when there are too many, in all or of the product.
func (w *waiters) add(ref lane.Ref, seq uint64) *waiter {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.count >= w.limit || w.products[ref.Product] >= w.limit-w.limit/4 {
		return nil
	}
	x := &waiter{seq, make(chan struct{})}
	if w.lanes[ref] == nil {
		w.lanes[ref] = map[*waiter]struct{}{}
	}
	w.lanes[ref][x] = struct{}{}
	w.count++
	w.products[ref.Product]++
	w.m.waiters.Set(float64(w.count))
	return x
}

func (w *waiters) remove(ref lane.Ref, x *waiter) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, there := w.lanes[ref][x]; !there {
		return
	}
	delete(w.lanes[ref], x)
	if len(w.lanes[ref]) == 0 {
		delete(w.lanes, ref)
	}
	w.count--
	if w.products[ref.Product]--; w.products[ref.Product] == 0 {
		delete(w.products, ref.Product)
	}
	w.m.waiters.Set(float64(w.count))
}

// passed wakes those that wait for a seq at or below cursor.
func (w *waiters) passed(ref lane.Ref, cursor uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for x := range w.lanes[ref] {
		if x.seq <= cursor {
			select {
			case <-x.acked:
			default:
				close(x.acked)
			}
		}
	}
}

// lookAgain is how often a waiter looks at the lane and the ledger: an ack may
// have gone through another saver.
const lookAgain = time.Second

// waitAck answers true once the lane's cursor has reached seq, false when ctx
// ends or the time is over.
func (s *Saver) waitAck(ctx context.Context, ref lane.Ref, seq uint64, wait time.Duration) (bool, error) {
	x := s.waiters.add(ref, seq)
	if x == nil {
		return false, code.Errorf(code.RateLimited, "too many calls wait for acks at this saver")
	}
	defer s.waiters.remove(ref, x)
	over := time.NewTimer(wait)
	defer over.Stop()
	again := time.NewTicker(lookAgain)
	defer again.Stop()
	for {
		// Registered first, then looked: an ack between the two is not missed.
		if acked, err := s.wasAcked(ctx, ref, seq); acked || err != nil {
			return acked, err
		}
		select {
		case <-x.acked:
			return true, nil
		case <-again.C:
		case <-over.C:
			return false, nil
		case <-ctx.Done():
			return false, nil
		case <-s.stopped:
			return false, code.Errorf(code.Shutdown, "this saver is stopping")
		}
	}
}

// wasAcked: not in the lane any more, and the lane's cursor says that it was an
// ack that took it.
func (s *Saver) wasAcked(ctx context.Context, ref lane.Ref, seq uint64) (bool, error) {
	if s.cursors.get(ref) >= seq {
		return true, nil
	}
	p, e := s.look(ref, seq)
	if e != nil {
		if e.Code.Action() == code.RetryAfter { // Redis is away for a moment
			return false, nil
		}
		return false, e
	}
	if p.Found {
		return false, nil
	}
	lctx, cancel := context.WithTimeout(ctx, s.cfg.Ledger.Timeout.Std())
	defer cancel()
	cursor, err := s.ledger.Cursor(lctx, ref.Slot, ref.Product, ref.Device)
	if err == nil {
		s.troubles.waiters.fine()
	} else if ctx.Err() == nil {
		s.troubles.waiters.saw(1, err)
	}
	return err == nil && cursor >= seq, nil
}

// peekJob looks at one lane.
type peekJob struct {
	task[lane.Peeked]
	seq uint64
	err *code.Error
}

func (j *peekJob) fail(e *code.Error) {
	if !j.done {
		j.err = e
	}
	j.answer(lane.Peeked{})
}

func (s *Saver) peek(ctx context.Context, c *lane.Conn, jobs []*peekJob) (unready []*peekJob, err error) {
	items := make([]lane.Cursor, len(jobs))
	for i, j := range jobs {
		items[i] = lane.Cursor{Ref: j.ref, Seq: j.seq}
	}
	start := time.Now()
	out, err := c.Peek(ctx, items)
	s.metrics.script("peek", start)
	if err != nil {
		return nil, err
	}
	for i, j := range jobs {
		if out[i].Status == lane.NotReady {
			unready = append(unready, j)
			continue
		}
		j.answer(out[i])
	}
	return unready, nil
}

func (s *Saver) look(ref lane.Ref, seq uint64) (lane.Peeked, *code.Error) {
	var wg sync.WaitGroup
	wg.Add(1)
	j := &peekJob{task: task[lane.Peeked]{ref: ref, wg: &wg}, seq: seq}
	s.peeks.put(j)
	wg.Wait()
	return j.result, j.err
}

// pending counts what waits in the lanes of one device.
func (s *Saver) pending(device string, products []string) (*api.PendingReply, error) {
	var wg sync.WaitGroup
	jobs := make([]*peekJob, len(products))
	wg.Add(len(products))
	for i, p := range products {
		jobs[i] = &peekJob{task: task[lane.Peeked]{ref: lane.RefOf(p, device), wg: &wg}}
		s.peeks.put(jobs[i])
	}
	wg.Wait()
	rep := &api.PendingReply{}
	for _, j := range jobs {
		if j.err != nil {
			return nil, j.err
		}
		rep.Counts = append(rep.Counts, uint64(j.result.Count))
	}
	return rep, nil
}
