package saver

import (
	"context"
	"sync/atomic"
	"time"

	"longlink/pkg/batch"
	"longlink/pkg/code"
	"longlink/saver/ledger"
)

// upCommits is the group commit of the upstream log: what several calls bring
// while one transaction runs goes into the next one together. A partition is
// always with the same worker, so the workers of a saver never wait for each
// other's locks.
type upCommits struct {
	s     *Saver
	queue *batch.Queue[*upJob]
	limit int64        // of bytes
	bytes atomic.Int64 // of the jobs that are queued or in work
	// before lets a test act, or fail, before a commit. Nil otherwise.
	before func() error
}

// Bounds of one transaction: of jobs, of their rows and of their bytes. A
// single job is taken even when it is larger.
const (
	upGroup = 256
	upRows  = 1024
	upBytes = 4 << 20
)

// upQueueBytes bounds what is queued or in work, beside the number of jobs: a
// single one is taken even when it is larger.
const upQueueBytes = 64 << 20

func newUpCommits(s *Saver) *upCommits {
	workers := s.cfg.Ledger.Workers
	if s.cfg.Ledger.Driver == "embedded" {
		workers = 1
	}
	c := &upCommits{s: s, limit: upQueueBytes}
	c.queue = batch.New(batch.Config{Target: "ledger.upstream", Workers: workers, Limit: s.cfg.Work.Queue, Max: upGroup},
		s.deps.Batches, c.do, func(jobs []*upJob) { c.answer(jobs, stopping()) })
	return c
}

func stopping() *code.Error { return code.Errorf(code.Shutdown, "this saver is stopping") }

// put queues a job, or answers it.
func (c *upCommits) put(part uint16, j *upJob) {
	all := c.bytes.Add(int64(j.bytes))
	fits := all <= c.limit || all == int64(j.bytes)
	switch {
	case c.s.commits.isAway():
		c.answer([]*upJob{j}, code.Errorf(code.Unavailable, "the ledger cannot be reached"))
	case fits && c.queue.Put(uint64(part), j):
	case c.s.stopping():
		c.answer([]*upJob{j}, stopping())
	default:
		c.answer([]*upJob{j}, code.Errorf(code.RateLimited, "too much is queued for the ledger"))
	}
}

// do is one batch of jobs. It outlives ctx: what has begun is finished.
func (c *upCommits) do(ctx context.Context, _ int, jobs []*upJob) {
	err := c.s.guard.Guard("saver.upstream", func() error {
		for rest := jobs; len(rest) > 0; {
			n := upTransaction(rest)
			c.commit(context.WithoutCancel(ctx), rest[:n])
			rest = rest[n:]
		}
		return nil
	})
	if err != nil { // a panic
		c.answer(jobs, code.Errorf(code.Internal, "internal fault"))
	}
}

// upTransaction is how many of the jobs go into the next transaction.
func upTransaction(jobs []*upJob) (n int) {
	rows, bytes := 0, 0
	for _, j := range jobs {
		rows, bytes = rows+len(j.ups), bytes+j.bytes
		if n > 0 && (rows > upRows || bytes > upBytes) {
			break
		}
		n++
	}
	return n
}

// commit stores jobs in one transaction and answers them.
func (c *upCommits) commit(ctx context.Context, jobs []*upJob) {
	now := time.Now()
	var group []*upJob
	var ups []*ledger.Up
	for _, j := range jobs {
		fresh := j.inTime(now)
		if len(fresh) == 0 {
			c.answer([]*upJob{j}, nil)
			continue
		}
		group, ups = append(group, j), append(ups, fresh...)
	}
	if len(group) == 0 {
		return
	}
	if c.s.commits.isAway() {
		c.answer(group, code.Errorf(code.Unavailable, "the ledger cannot be reached"))
		return
	}
	if err := c.store(ctx, ups); err != nil {
		c.s.troubles.upstream.saw(len(ups), err)
		c.answer(group, code.Errorf(code.Unavailable, "it may not be stored; send it again under the same up_id"))
		return
	}
	c.s.troubles.upstream.fine()
	c.answer(group, nil)
}

func (c *upCommits) store(ctx context.Context, ups []*ledger.Up) error {
	ctx, cancel := context.WithTimeout(ctx, c.s.cfg.Ledger.Timeout.Std())
	defer cancel()
	if c.before != nil {
		if err := c.before(); err != nil {
			return err
		}
	}
	start := time.Now()
	err := c.s.ledger.AppendUpstream(ctx, ups, start)
	c.s.metrics.upstreamCommits.Observe(time.Since(start).Seconds())
	if err != nil {
		c.s.lookAway(ctx)
	}
	return err
}

// answer ends jobs; nil: their rows are committed. Of each only the first
// answer counts.
func (c *upCommits) answer(jobs []*upJob, e *code.Error) {
	for _, j := range jobs {
		if j.done {
			continue
		}
		c.bytes.Add(-int64(j.bytes))
		j.err, j.done = e, true
		j.wg.Done()
	}
}
