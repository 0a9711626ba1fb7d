package saver

import (
	"context"
	"sync"
	"time"

	"longlink/pkg/api"
	"longlink/pkg/batch"
	"longlink/pkg/code"
	"longlink/pkg/slot"
	"longlink/saver/lane"
)

// job is one item on its way through a worker. It is answered exactly once, by
// its worker, or by the one who could not queue it.
type job interface {
	lane() lane.Ref
	deadline() time.Time // zero: none
	fail(e *code.Error)
	answered() bool
}

// task is what all jobs have.
type task[R any] struct {
	ref    lane.Ref
	until  time.Time
	result R
	done   bool
	wg     *sync.WaitGroup
}

func (t *task[R]) lane() lane.Ref      { return t.ref }
func (t *task[R]) deadline() time.Time { return t.until }
func (t *task[R]) answered() bool      { return t.done }

func (t *task[R]) answer(r R) {
	if t.done {
		return
	}
	t.result, t.done = r, true
	t.wg.Done()
}

func until(m *api.Meta) time.Time {
	if ms := m.GetRemainingMs(); ms > 0 {
		return time.Now().Add(time.Duration(ms) * time.Millisecond)
	}
	return time.Time{}
}

// pool is a queue of one kind of job in front of its workers.
type pool[J job] struct {
	s     *Saver
	queue *batch.Queue[J]
	links []*link
	// call works on a group of jobs on one connection: it answers them, but for
	// those whose slot does not serve, which it returns. After an error the
	// connection is given up.
	call func(ctx context.Context, c *lane.Conn, jobs []J) (unready []J, err error)
	// once: jobs must not be called again after an error; call has answered
	// all of them. Else they are, one time.
	once bool
}

func newPool[J job](s *Saver, target string, workers int, once bool, call func(ctx context.Context, c *lane.Conn, jobs []J) ([]J, error)) *pool[J] {
	p := &pool[J]{s: s, call: call, once: once}
	for range workers {
		p.links = append(p.links, &link{store: s.store, log: s.log, away: s.troubles.redis, rest: redialAfter})
	}
	p.queue = batch.New(batch.Config{Target: target, Workers: workers, Limit: s.cfg.Work.Queue, Max: s.cfg.Work.Batch},
		s.deps.Batches, p.do, func(jobs []J) {
			for _, j := range jobs {
				j.fail(code.Errorf(code.Shutdown, "this saver is stopping"))
			}
		})
	return p
}

// put queues a job; the jobs of one device keep their order.
func (p *pool[J]) put(j J) {
	if !p.queue.Put(slot.Key(j.lane().Device), j) {
		if p.s.stopping() {
			j.fail(code.Errorf(code.Shutdown, "this saver is stopping"))
			return
		}
		j.fail(code.Errorf(code.RateLimited, "too much is queued for Redis"))
	}
}

// do is one batch. It outlives ctx: what has begun is finished.
func (p *pool[J]) do(ctx context.Context, worker int, jobs []J) {
	l := p.links[worker]
	err := p.s.guard.Guard("saver.work", func() error {
		p.serve(context.WithoutCancel(ctx), l, jobs)
		return nil
	})
	if err != nil { // a panic; who knows what is left on the connection
		l.drop(err)
		failAll(jobs, code.Errorf(code.Internal, "internal fault"))
	}
}

// serve works on jobs in order until each is answered. Jobs of a slot that does
// not serve wait until it is rebuilt, and all of that slot behind them.
func (p *pool[J]) serve(ctx context.Context, l *link, jobs []J) {
	giveUp := time.Now().Add(p.s.cfg.Rebuild.Wait.Std())
	repeated := false
	for jobs = onTime(jobs); len(jobs) > 0; jobs = onTime(jobs) {
		conn, err := l.get(ctx)
		if err != nil {
			failAll(jobs, code.Errorf(code.Unavailable, "Redis cannot be reached"))
			return
		}
		unready, err := p.call(ctx, conn, jobs)
		if err != nil {
			l.drop(err)
			if p.once || repeated {
				failAll(jobs, code.Errorf(code.Unavailable, "the connection to Redis was lost"))
				return
			}
			repeated = true
			continue
		}
		if len(unready) == 0 {
			return
		}
		if l.renew(ctx) && !repeated {
			repeated, jobs = true, unready
			continue
		}
		if err := p.s.rebuild.wait(ctx, conn.Run(), slotsOf(unready), giveUp); err != nil {
			failAll(unready, code.Errorf(code.NotReady, "the slot is being rebuilt"))
			return
		}
		jobs = unready
	}
}

// onTime answers the jobs that came too late and returns the others.
func onTime[J job](jobs []J) []J {
	now := time.Now()
	out := make([]J, 0, len(jobs))
	for _, j := range jobs {
		if j.answered() {
			continue
		}
		if d := j.deadline(); !d.IsZero() && now.After(d) {
			j.fail(code.Errorf(code.Deadline, "waited too long in the saver; nothing was done"))
			continue
		}
		out = append(out, j)
	}
	return out
}

func failAll[J job](jobs []J, e *code.Error) {
	for _, j := range jobs {
		if !j.answered() {
			j.fail(e)
		}
	}
}

func slotsOf[J job](jobs []J) []uint16 {
	seen := map[uint16]bool{}
	var out []uint16
	for _, j := range jobs {
		if s := j.lane().Slot; !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	return out
}
