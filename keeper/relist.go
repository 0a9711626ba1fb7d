package keeper

import (
	"context"
	"errors"
	"time"

	"longlink/pkg/cluster"
)

const (
	// relistEvery is the least time between two lists that others ask for.
	relistEvery = 250 * time.Millisecond
	// relistTimeout bounds how long somebody waits for one.
	relistTimeout = 500 * time.Millisecond
	// relistRest is for how long after one that failed nobody waits for another.
	relistRest = time.Second
)

var errResting = errors.New("etcd did not answer a moment ago")

// due is how long run waits before a list that was asked for.
func (f *follower[T]) due() time.Duration { return max(0, relistEvery-time.Since(f.last)) }

// anew has everything listed once more and returns when a list that began after
// the call has been applied, or ctx ends. The watch is begun anew too, so one
// that is stuck is mended by it. Many callers share a list.
func (f *follower[T]) anew(ctx context.Context) error {
	f.mu.Lock()
	after := f.begun
	f.mu.Unlock()
	f.again()
	return f.until(ctx, func() bool { return f.listed > after })
}

var _ cluster.Relister = (*views)(nil)

// Changed implements cluster.Views.
func (v *views) Changed(than *cluster.View) <-chan struct{} { return v.holder.Changed(than) }

// Relist implements cluster.Relister: another instance has shown a newer view,
// or denied what this one's view says. A watch of etcd may be late or stuck; a
// list goes through etcd's quorum and shows all that had happened before.
func (v *views) Relist(ctx context.Context) error {
	if time.Now().UnixNano() < v.resting.Load() {
		return errResting
	}
	rctx, cancel := context.WithTimeout(ctx, relistTimeout)
	defer cancel()
	err := v.relist(rctx)
	if err != nil && ctx.Err() == nil {
		v.resting.Store(time.Now().Add(relistRest).UnixNano())
	}
	return err
}
