package coordinator

import (
	"context"
	"slices"
	"sync"

	"longlink/pkg/api"
)

// answers gathers the results of one batch, which come from several savers. One
// that comes after wait has returned goes nowhere.
type answers struct {
	mu      sync.Mutex
	results []*api.UpResult // guarded by mu; nil: not there yet
	missing int             // guarded by mu
	all     chan struct{}   // closed when none is missing
}

func newAnswers(n int) *answers {
	a := &answers{results: make([]*api.UpResult, n), missing: n, all: make(chan struct{})}
	if n == 0 {
		close(a.all)
	}
	return a
}

// set is called once for each item, by anybody.
func (a *answers) set(i int, res *api.UpResult) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.results[i] = res
	if a.missing--; a.missing == 0 {
		close(a.all)
	}
}

// wait returns when all are there or ctx ends; those that are missing are nil.
func (a *answers) wait(ctx context.Context) []*api.UpResult {
	select {
	case <-a.all:
	case <-ctx.Done():
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.results)
}
