package center

import (
	"container/heap"
	"context"
	"math/rand/v2"
	"time"

	"longlink/pkg/code"
)

// retry is a step that is to be done again.
type retry struct {
	at time.Time
	do func()
}

// retries is a heap.Interface, the earliest first.
type retries []retry

func (r retries) Len() int           { return len(r) }
func (r retries) Less(i, k int) bool { return r[i].at.Before(r[k].at) }
func (r retries) Swap(i, k int)      { r[i], r[k] = r[k], r[i] }
func (r *retries) Push(x any)        { *r = append(*r, x.(retry)) }
func (r *retries) Pop() any {
	last := (*r)[len(*r)-1]
	*r = (*r)[:len(*r)-1]
	return last
}

// again repeats a step after a back-off of 25 ms doubling to 800 ms with
// jitter, not under the error's hint. It is false when the deadline comes
// first.
func (f *flight) again(t *target, step string, err *code.Error, do func()) bool {
	f.s.metrics.retries.WithLabelValues(step).Inc()
	at := time.Now().Add(max(backoff(t.attempts), min(err.Retry, time.Second)))
	t.attempts++
	if !at.Before(f.deadline) {
		return false
	}
	heap.Push(&f.later, retry{at, do})
	return true
}

// repeat runs the steps that are due.
func (f *flight) repeat(now time.Time) {
	for len(f.later) > 0 && !f.later[0].at.After(now) {
		heap.Pop(&f.later).(retry).do()
	}
}

func (f *flight) nextWake() time.Time {
	if len(f.later) > 0 && f.later[0].at.Before(f.deadline) {
		return f.later[0].at
	}
	return f.deadline
}

func backoff(attempts int) time.Duration {
	d := 25 * time.Millisecond << min(attempts, 5)
	return d/2 + rand.N(d/2+1)
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, wait time.Duration) {
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
