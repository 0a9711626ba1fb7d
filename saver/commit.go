package saver

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"longlink/pkg/batch"
	"longlink/saver/ledger"
)

// commits is the group commit: what several workers bring while one commit runs
// goes into the next one together.
type commits struct {
	queue *batch.Queue[*commit]
	// away is until when (Unix nanoseconds) the ledger is taken to be away:
	// meanwhile appends are refused before the script, which is better than
	// UNKNOWN for everybody.
	away atomic.Int64
}

type commit struct {
	batch ledger.Batch
	done  chan error // capacity 1
}

var errStopping = errors.New("the ledger is closing")

// awayFor is how long appends are refused after the ledger did not answer; then
// the next one tries.
const awayFor = 200 * time.Millisecond

// commitGroup bounds what one transaction takes, in script calls.
const commitGroup = 32

func newCommits(s *Saver) *commits {
	workers := s.cfg.Ledger.Workers
	if s.cfg.Ledger.Driver == "embedded" {
		workers = 1
	}
	c := &commits{}
	c.queue = batch.New(batch.Config{Target: "ledger.commit", Workers: workers, Limit: 1024 * workers, Max: commitGroup}, s.deps.Batches,
		func(ctx context.Context, _ int, group []*commit) {
			err := errors.New("the commit ended without a result")
			defer func() { // also when it panics
				for _, c := range group {
					c.done <- err
				}
			}()
			err = s.commitGroup(context.WithoutCancel(ctx), group)
		},
		func(group []*commit) {
			for _, c := range group {
				c.done <- errStopping
			}
		})
	return c
}

func (s *Saver) commitGroup(ctx context.Context, group []*commit) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Ledger.Timeout.Std())
	defer cancel()
	batches, rows := make([]ledger.Batch, len(group)), 0
	for i, c := range group {
		batches[i] = c.batch
		rows += len(c.batch.Fresh) + len(c.batch.Again)
	}
	start := time.Now()
	err := s.ledger.Commit(ctx, batches)
	if err != nil && s.stored(ctx, batches) {
		err = s.ledger.Commit(ctx, batches)
	}
	s.metrics.commits.Observe(time.Since(start).Seconds())
	s.metrics.commitRows.Observe(float64(rows))
	if err != nil {
		s.lookAway(ctx)
	}
	return err
}

// lookAway finds out after a failed commit: was it of these rows, or is nobody
// there?
func (s *Saver) lookAway(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if s.ledger.Ping(ctx) != nil {
		s.commits.away.Store(time.Now().Add(awayFor).UnixNano())
	}
}

// isAway is true while the ledger is taken to be away.
func (c *commits) isAway() bool { return time.Now().UnixNano() < c.away.Load() }

// stored moves the fresh rows that are in the ledger already to those that may
// be: the repetition of a push, through another saver, may be committed before
// the push itself, and must not cost its neighbours their commit. False when
// there is none.
func (s *Saver) stored(ctx context.Context, batches []ledger.Batch) (moved bool) {
	var fresh []ledger.Row
	for _, b := range batches {
		fresh = append(fresh, b.Fresh...)
	}
	there, err := s.ledger.Stored(ctx, fresh)
	if err != nil || len(there) == 0 {
		return false
	}
	for i := range batches {
		b := &batches[i]
		rest := make([]ledger.Row, 0, len(b.Fresh))
		for _, r := range b.Fresh {
			if there[ledger.Key{Slot: r.Slot, Seq: r.Seq, ExpiryDay: ledger.DayOf(r.ExpiresMS)}] {
				b.Again = append(b.Again, r)
			} else {
				rest = append(rest, r)
			}
		}
		b.Fresh = rest
	}
	return true
}

// do waits for the commit that takes the batch. The queue's workers end each
// commit within the ledger's timeout.
func (c *commits) do(_ context.Context, b ledger.Batch) error {
	cm := &commit{b, make(chan error, 1)}
	var key uint64
	if len(b.Fresh) > 0 {
		key = b.Fresh[0].Seq
	}
	if !c.queue.Put(key, cm) {
		return errors.New("the queue to the ledger is full or closed")
	}
	return <-cm.done
}
