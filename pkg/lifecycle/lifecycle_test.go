package lifecycle

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestFirstFailureEndsGroup(t *testing.T) {
	g := NewGroup(t.Context(), nil, NewMetrics(prometheus.NewRegistry()))
	boom := errors.New("boom")
	g.Go("waits", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
	g.Go("fails", func(context.Context) error { return boom })
	if err := g.Wait(); !errors.Is(err, boom) {
		t.Fatalf("Wait = %v, want boom", err)
	}
}

func TestPanicIsReportedWithItsName(t *testing.T) {
	g := NewGroup(t.Context(), nil, NewMetrics(prometheus.NewRegistry()))
	g.Go("walker", func(context.Context) error { panic("lost") })
	var pe *PanicError
	if err := g.Wait(); !errors.As(err, &pe) || pe.Name != "walker" || len(pe.Stack) == 0 {
		t.Fatalf("Wait = %v", err)
	}
}

func TestTaskFailureDoesNotEndGroup(t *testing.T) {
	g := NewGroup(t.Context(), nil, nil)
	done := make(chan struct{})
	g.Task("bad", func(context.Context) error { defer close(done); panic("x") })
	<-done
	if g.Context().Err() != nil {
		t.Fatal("a task's panic ended the group")
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
}

// recorder is a part that notes when it starts and stops.
func recorder(name string, mu *sync.Mutex, events *[]string, fail error) Part {
	note := func(s string) { mu.Lock(); *events = append(*events, s+name); mu.Unlock() }
	return Part{name, RunnerFunc(func(ctx context.Context, ready func()) error {
		if fail != nil {
			return fail
		}
		note("+")
		ready()
		<-ctx.Done()
		note("-")
		return nil
	})}
}

func TestRunAllOrder(t *testing.T) {
	var mu sync.Mutex
	var events []string
	ctx, cancel := context.WithCancel(t.Context())
	err := RunAll(ctx, slog.Default(), cancel,
		recorder("a", &mu, &events, nil), recorder("b", &mu, &events, nil), recorder("c", &mu, &events, nil))
	if err != nil || !slices.Equal(events, []string{"+a", "+b", "+c", "-c", "-b", "-a"}) {
		t.Fatalf("err %v, events %v", err, events)
	}
}

func TestRunAllNamesTheFailure(t *testing.T) {
	var mu sync.Mutex
	var events []string
	boom := errors.New("boom")
	err := RunAll(t.Context(), slog.Default(), func() { t.Error("ready though a part failed") },
		recorder("a", &mu, &events, nil), recorder("b", &mu, &events, boom), recorder("c", &mu, &events, nil))
	if !errors.Is(err, boom) || err.Error() != "b: boom" || !slices.Equal(events, []string{"+a", "-a"}) {
		t.Fatalf("err %v, events %v", err, events)
	}
}
