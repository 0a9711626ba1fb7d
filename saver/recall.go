package saver

import (
	"context"
	"errors"
	"sync"
	"time"

	"longlink/pkg/api"
	"longlink/pkg/code"
	"longlink/pkg/trace"
	"longlink/saver/lane"
	"longlink/saver/ledger"
)

// recall takes a push back, in the order that makes it stay away:
//  1. the ledger marks the rows that wait: from here on no rebuild brings them,
//  2. each is taken out of its lane, in a slot that serves. One that does not is
//     waited for: a rebuild that read the row before (1) has put it into the lane
//     by then, and none can begin before (2) without reading the mark.
//
// What fails after (1) is answered UNAVAILABLE; the repetition does both again
// and repeats the answer. Only rows above their cursor are marked, so the mark
// says later, too, that the message was not consumed.
func (s *Saver) recall(ctx context.Context, q *api.RecallRequest) (*api.RecallReply, *code.Error) {
	if e := checkMessage(q.Product, q.Id); e != nil {
		return nil, e
	}
	before, e := s.byID(ctx, q.Id, q.Product, maxRows+1)
	switch {
	case e != nil:
		return nil, e
	case len(before) == 0:
		return nil, code.Errorf(code.NotFound, "the ledger has no message of this id").WithField("id")
	case len(before) > maxRows:
		return nil, code.Errorf(code.FailedPrecondition, "more than %d messages share this id; give each push a dedup_id of its own", maxRows).WithField("id")
	}
	if e := s.markRecalled(ctx, before); e != nil {
		return nil, e
	}
	s.seams.at(s.seams.afterMark)
	after, e := s.byID(ctx, q.Id, q.Product, maxRows) // a row may have left its state by itself
	if e != nil {
		return nil, halfRecalled(e)
	}
	marked := map[ledger.Key]bool{} // before this call
	for _, f := range before {
		marked[f.Key()] = f.State == ledger.Recalled
	}
	return s.takeOut(ctx, after, marked)
}

func (s *Saver) markRecalled(ctx context.Context, rows []ledger.Found) *code.Error {
	var live, again []ledger.Key
	for _, f := range rows {
		switch {
		case f.State == ledger.Recalled:
			again = append(again, f.Key())
		case stateOf(f, time.Now()) == api.FoundMessage_STATE_STORED:
			live = append(live, f.Key())
		}
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Ledger.Timeout.Std())
	defer cancel()
	if err := s.ledger.Recall(ctx, rows[0].ID, live, again); err != nil {
		return s.noLedger(ctx, err, "the ledger did not answer; repeat the recall")
	}
	return nil
}

// takeOut removes the recalled ones of the rows from their lanes, and counts.
func (s *Saver) takeOut(ctx context.Context, rows []ledger.Found, marked map[ledger.Key]bool) (*api.RecallReply, *code.Error) {
	var until time.Time
	if d, ok := ctx.Deadline(); ok {
		until = d
	}
	var wg sync.WaitGroup
	jobs := make([]*removeJob, len(rows))
	rep := &api.RecallReply{Targets: uint32(len(rows))}
	for i, f := range rows {
		if f.State != ledger.Recalled {
			continue
		}
		rep.Recalled++
		wg.Add(1)
		jobs[i] = &removeJob{task: task[lane.Removed]{ref: refOf(f), until: until, wg: &wg}, seq: f.Seq}
		s.removes.put(jobs[i])
	}
	wg.Wait()
	var failed *code.Error
	for i, j := range jobs {
		if j == nil {
			continue
		}
		step := trace.Event{Stage: trace.Recalled, ID: rows[i].ID, Product: j.ref.Product, Device: j.ref.Device, Seq: j.seq}
		if j.err != nil {
			failed = j.err
			step.Code, step.Detail = j.err.Code, "marked in the ledger, not yet out of Redis"
		}
		if j.result.Found {
			s.metrics.drops.WithLabelValues(code.DropRecalled.String()).Inc()
		}
		if j.result.Found || j.err != nil || !marked[rows[i].Key()] {
			s.deps.Trace.Add(step)
		}
	}
	if failed != nil {
		return nil, halfRecalled(failed)
	}
	return rep, nil
}

// halfRecalled is the answer after the mark when the rest failed.
func halfRecalled(e *code.Error) *code.Error {
	return code.Errorf(code.Unavailable, "the message is marked as recalled; repeat the recall to take it out of Redis (%s)", e.Code)
}

// removeJob takes one message out of its lane.
type removeJob struct {
	task[lane.Removed]
	seq uint64
	err *code.Error
}

func (j *removeJob) fail(e *code.Error) {
	if !j.done {
		j.err = e
	}
	j.answer(lane.Removed{})
}

func (s *Saver) remove(ctx context.Context, c *lane.Conn, jobs []*removeJob) (unready []*removeJob, err error) {
	items := make([]lane.Cursor, len(jobs))
	for i, j := range jobs {
		items[i] = lane.Cursor{Ref: j.ref, Seq: j.seq}
	}
	// The run id of a process may change under a connection. A rebuild for the
	// new one may have read the rows before the mark and come after this: then it
	// is waited for, on a new connection.
	if same, err := c.Same(ctx); !same {
		return nil, errors.Join(errRunChanged, err)
	}
	start := time.Now()
	out, err := c.Remove(ctx, items)
	s.metrics.script("remove", start)
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
