// Package lifecycle starts and ends what runs: the one helper that starts
// goroutines (Group), and the order in which parts start and stop (RunAll).
package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts goroutines and panics by name; one value serves a process.
type Metrics struct {
	running *prometheus.GaugeVec
	panics  *prometheus.CounterVec
}

// NewMetrics registers the metrics.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		running: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "longlink_goroutines", Help: "Goroutines started through the lifecycle helper that have not ended."}, []string{"name"}),
		panics:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "longlink_panics_total", Help: "Panics that were recovered."}, []string{"name"}),
	}
	reg.MustRegister(m.running, m.panics)
	return m
}

// PanicError is a recovered panic.
type PanicError struct {
	Name  string
	Value any
	Stack []byte
}

// Error names the goroutine and the panic's value; the stack is logged where
// the panic was recovered.
func (e *PanicError) Error() string { return fmt.Sprintf("%s: panic: %v", e.Name, e.Value) }

// Group runs named goroutines that end together: the first that returns an
// error or panics cancels the group's context. Wait returns after the last one.
type Group struct {
	ctx     context.Context
	cancel  context.CancelCauseFunc
	log     *slog.Logger
	metrics *Metrics
	wg      sync.WaitGroup

	mu    sync.Mutex
	first error
}

// NewGroup makes an empty group under ctx. metrics may be nil (tests, the SDK).
func NewGroup(ctx context.Context, log *slog.Logger, metrics *Metrics) *Group {
	g := &Group{log: log, metrics: metrics}
	if g.log == nil {
		g.log = slog.New(slog.DiscardHandler)
	}
	g.ctx, g.cancel = context.WithCancelCause(ctx)
	return g
}

// Context ends when the group does.
func (g *Group) Context() context.Context { return g.ctx }

// Go runs fn under a name from a small closed set (it is a metric label). An
// error, other than the context's own, or a panic ends the whole group.
func (g *Group) Go(name string, fn func(ctx context.Context) error) {
	g.start(name, fn, true)
}

// Task runs fn as Go does, but its failure is only logged: the group goes on.
func (g *Group) Task(name string, fn func(ctx context.Context) error) {
	g.start(name, fn, false)
}

func (g *Group) start(name string, fn func(ctx context.Context) error, vital bool) {
	g.wg.Add(1)
	if g.metrics != nil {
		g.metrics.running.WithLabelValues(name).Inc()
	}
	go func() {
		defer g.wg.Done()
		if g.metrics != nil {
			defer g.metrics.running.WithLabelValues(name).Dec()
		}
		err := g.Guard(name, func() error { return fn(g.ctx) })
		if err == nil || (g.ctx.Err() != nil && errors.Is(err, context.Canceled)) {
			return
		}
		if !vital {
			g.log.Error("task failed", "task", name, "err", err)
			return
		}
		g.fail(fmt.Errorf("%s: %w", name, err))
	}()
}

// Guard calls fn and turns a panic into a PanicError, logged with its stack and
// counted.
func (g *Group) Guard(name string, fn func() error) (err error) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		e := &PanicError{Name: name, Value: v, Stack: debug.Stack()}
		if g.metrics != nil {
			g.metrics.panics.WithLabelValues(name).Inc()
		}
		g.log.Error("panic recovered", "in", name, "value", fmt.Sprint(v), "stack", string(e.Stack))
		err = e
	}()
	return fn()
}

func (g *Group) fail(err error) {
	g.mu.Lock()
	if g.first == nil {
		g.first = err
	}
	g.mu.Unlock()
	g.cancel(err)
}

// Cancel asks every goroutine of the group to end.
func (g *Group) Cancel() { g.cancel(context.Canceled) }

// Wait returns when every goroutine has ended: the first failure, or nil.
func (g *Group) Wait() error {
	g.wg.Wait()
	g.cancel(context.Canceled)
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.first
}
