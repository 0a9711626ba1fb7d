package saver

import (
	"context"
	"time"

	"longlink/pkg/api"
	"longlink/pkg/code"
	"longlink/pkg/rpc"
	"longlink/saver/lane"
)

// ackJob is one cumulative ack.
type ackJob struct {
	task[*api.AckResult]
	seq uint64
}

func (j *ackJob) fail(e *code.Error) { j.answer(&api.AckResult{Result: rpc.ResultOf(e)}) }

// ack trims lanes. The ledger hears of it later (cursors.go): while too many
// lanes wait for it, acks are refused and the room sends them again.
func (s *Saver) ack(ctx context.Context, c *lane.Conn, jobs []*ackJob) (unready []*ackJob, err error) {
	var open []*ackJob
	var items []lane.Cursor
	for _, j := range jobs {
		if !s.cursors.room(j.ref) {
			j.fail(code.Errorf(code.RateLimited, "too many acks wait for the ledger"))
			continue
		}
		open, items = append(open, j), append(items, lane.Cursor{Ref: j.ref, Seq: j.seq})
	}
	if len(open) == 0 {
		return nil, nil
	}
	start := time.Now()
	out, err := c.Ack(ctx, items)
	s.metrics.script("ack", start)
	if err != nil {
		return nil, err
	}
	for i, j := range open {
		if out[i].Status == lane.NotReady {
			unready = append(unready, j)
			continue
		}
		s.passed(j.ref, out[i].Cursor)
		j.answer(&api.AckResult{})
	}
	return unready, nil
}

// passed notes that a lane has been consumed up to cursor.
func (s *Saver) passed(ref lane.Ref, cursor uint64) {
	s.cursors.put(ref, cursor)
	s.waiters.passed(ref, cursor)
	s.sweep.table.acked(ref, cursor)
}

func (s *Saver) ackJobOf(it *api.AckItem) (*ackJob, *code.Error) {
	if e := checkLane(it.Device, it.Product); e != nil {
		return nil, e
	}
	return &ackJob{task: task[*api.AckResult]{ref: lane.RefOf(it.Product, it.Device), until: until(it.Meta)}, seq: it.Seq}, nil
}
