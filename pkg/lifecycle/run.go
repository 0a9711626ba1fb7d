package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Runner is a part with a life: it calls ready once when it serves, runs until
// ctx ends or it fails, and returns after its last goroutine.
type Runner interface {
	Run(ctx context.Context, ready func()) error
}

// RunnerFunc is a Runner from a function.
type RunnerFunc func(ctx context.Context, ready func()) error

// Run calls f.
func (f RunnerFunc) Run(ctx context.Context, ready func()) error { return f(ctx, ready) }

// Part is a Runner with the name that its failure is reported under.
type Part struct {
	Name string
	Runner
}

// RunAll starts the parts in order, each after its predecessor is ready, calls
// ready after the last, and stops them in reverse order, each before its
// predecessor, when ctx ends or the first part fails. It returns the first
// failure with the part's name, nil after a plain stop.
func RunAll(ctx context.Context, log *slog.Logger, ready func(), parts ...Part) error {
	type running struct {
		name string
		stop context.CancelFunc
		done chan error
	}
	base := context.WithoutCancel(ctx)
	failed := make(chan error, len(parts))
	var up []running
	var first error
	for _, p := range parts {
		pctx, stop := context.WithCancel(base)
		r := running{p.Name, stop, make(chan error, 1)}
		isUp := make(chan struct{})
		go func() {
			err := guard(p.Name, func() error {
				return p.Run(pctx, func() { close(isUp) })
			})
			if pctx.Err() == nil { // ended before it was told to
				if err == nil {
					err = errors.New("ended without being told to")
				}
				failed <- fmt.Errorf("%s: %w", p.Name, err)
			}
			r.done <- err
		}()
		up = append(up, r)
		select {
		case <-isUp:
			continue
		case first = <-failed:
		case <-ctx.Done():
		}
		break
	}
	if first == nil && ctx.Err() == nil {
		ready()
		select {
		case first = <-failed:
		case <-ctx.Done():
		}
	}
	for i := len(up) - 1; i >= 0; i-- {
		start := time.Now()
		up[i].stop()
		err := <-up[i].done
		if err != nil && !errors.Is(err, context.Canceled) && first == nil {
			first = fmt.Errorf("%s: %w", up[i].name, err)
		}
		log.Debug("stopped", "part", up[i].name, "took", time.Since(start))
	}
	return first
}

func guard(name string, fn func() error) (err error) {
	g := Group{log: slog.Default()}
	return g.Guard(name, fn)
}
