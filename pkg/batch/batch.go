// Package batch makes natural batches: a bounded queue and a small fixed number
// of workers, each taking whatever is queued the moment it is free. There are
// no timers: a lone item leaves at once, a flood travels in big batches. Items
// of the same key leave in order through the same worker.
package batch

import (
	"context"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"longlink/pkg/lifecycle"
)

// Metrics of all queues of a process, by target.
type Metrics struct {
	length   *prometheus.GaugeVec
	overflow *prometheus.CounterVec
	size     *prometheus.HistogramVec
}

// NewMetrics registers longlink_batch_queue_length, _overflow_total and _items.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		length:   prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "longlink_batch_queue_length", Help: "Items queued for a target."}, []string{"target"}),
		overflow: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "longlink_batch_overflow_total", Help: "Items refused because the queue was full."}, []string{"target"}),
		size:     prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "longlink_batch_items", Help: "Items in one batch.", Buckets: []float64{1, 2, 4, 8, 16, 32, 64, 128, 256, 512}}, []string{"target"}),
	}
	reg.MustRegister(m.length, m.overflow, m.size)
	return m
}

// Config of a Queue; zero fields take the defaults.
type Config struct {
	Target  string // metric label, from a small closed set such as "saver.append"
	Workers int    // default 2
	Limit   int    // items queued over all workers, default 4096
	Max     int    // items in one batch, default 256
}

// Queue is a bounded queue in front of workers. The zero value is not usable.
type Queue[T any] struct {
	cfg      Config
	do       func(ctx context.Context, worker int, items []T)
	drop     func(items []T)
	shards   []*shard[T]
	length   prometheus.Gauge
	overflow prometheus.Counter
	size     prometheus.Observer
}

type shard[T any] struct {
	mu     sync.Mutex
	items  []T
	busy   bool
	closed bool
	wake   chan struct{} // capacity 1
	idle   *sync.Cond    // on mu: items is empty and busy is false
}

// New makes a queue. do handles one batch and owns the slice only until it
// returns; it is called by one goroutine per worker. drop gets what is left
// when Run ends, and what Put is given after that.
func New[T any](cfg Config, m *Metrics, do func(ctx context.Context, worker int, items []T), drop func(items []T)) *Queue[T] {
	if cfg.Workers <= 0 {
		cfg.Workers = 2
	}
	if cfg.Limit <= 0 {
		cfg.Limit = 4096
	}
	if cfg.Max <= 0 {
		cfg.Max = 256
	}
	q := &Queue[T]{cfg: cfg, do: do, drop: drop,
		length:   m.length.WithLabelValues(cfg.Target),
		overflow: m.overflow.WithLabelValues(cfg.Target),
		size:     m.size.WithLabelValues(cfg.Target),
	}
	for range cfg.Workers {
		s := &shard[T]{wake: make(chan struct{}, 1)}
		s.idle = sync.NewCond(&s.mu)
		q.shards = append(q.shards, s)
	}
	return q
}

// Put queues the item behind others of its key. False means full, or stopped:
// the caller answers RATE_LIMITED or its own word for it. It never blocks.
func (q *Queue[T]) Put(key uint64, item T) bool {
	s := q.shards[key%uint64(len(q.shards))]
	s.mu.Lock()
	if s.closed || len(s.items) >= max(1, q.cfg.Limit/len(q.shards)) {
		s.mu.Unlock()
		q.overflow.Inc()
		return false
	}
	s.items = append(s.items, item)
	s.mu.Unlock()
	q.length.Inc()
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return true
}

// Run works until ctx ends, then drops what is queued and returns after its
// workers. A panic in do is an error of Run; the batch it hit is lost to the
// caller, so do guards what it must answer.
func (q *Queue[T]) Run(ctx context.Context, g *lifecycle.Group) {
	for i, s := range q.shards {
		g.Go("batch "+q.cfg.Target, func(gctx context.Context) error {
			defer q.close(s)
			for {
				items := s.take(q.cfg.Max)
				if items == nil {
					select {
					case <-s.wake:
						continue
					case <-ctx.Done():
						return nil
					case <-gctx.Done():
						return nil
					}
				}
				q.length.Sub(float64(len(items)))
				if ctx.Err() != nil || gctx.Err() != nil {
					q.drop(items)
					continue
				}
				q.size.Observe(float64(len(items)))
				q.do(ctx, i, items)
				s.release()
			}
		})
	}
}

// take removes up to n items; nil when there are none.
func (s *shard[T]) take(n int) []T {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.items) == 0 {
		return nil
	}
	n = min(n, len(s.items))
	out := make([]T, n)
	copy(out, s.items)
	rest := copy(s.items, s.items[n:])
	clear(s.items[rest:])
	s.items = s.items[:rest]
	if rest == 0 && cap(s.items) > 1024 {
		s.items = nil
	}
	s.busy = true
	return out
}

func (s *shard[T]) release() {
	s.mu.Lock()
	s.busy = false
	if len(s.items) == 0 {
		s.idle.Broadcast()
	}
	s.mu.Unlock()
}

func (q *Queue[T]) close(s *shard[T]) {
	s.mu.Lock()
	left := s.items
	s.items, s.closed, s.busy = nil, true, false
	s.idle.Broadcast()
	s.mu.Unlock()
	if len(left) > 0 {
		q.length.Sub(float64(len(left)))
		q.drop(left)
	}
}

// Len is the number of items queued.
func (q *Queue[T]) Len() (n int) {
	for _, s := range q.shards {
		s.mu.Lock()
		n += len(s.items)
		s.mu.Unlock()
	}
	return n
}

// Flush waits until the queue is empty and its workers are idle, or ctx ends.
// Callers stop putting first.
func (q *Queue[T]) Flush(ctx context.Context) error {
	for _, s := range q.shards {
		stop := context.AfterFunc(ctx, func() {
			s.mu.Lock()
			s.idle.Broadcast()
			s.mu.Unlock()
		})
		s.mu.Lock()
		for (len(s.items) > 0 || s.busy) && !s.closed && ctx.Err() == nil {
			s.idle.Wait()
		}
		s.mu.Unlock()
		stop()
	}
	return ctx.Err()
}
