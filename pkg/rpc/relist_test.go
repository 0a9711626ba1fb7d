package rpc

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"longlink/pkg/api"
	"longlink/pkg/cluster"
	"longlink/pkg/code"
)

// stuck is views that follow nothing: only Relist brings the next one.
type stuck struct {
	*cluster.Holder
	lists atomic.Int64
	next  atomic.Pointer[cluster.View]
	hold  chan struct{} // lists end when it is closed
}

func (s *stuck) Relist(ctx context.Context) error {
	s.lists.Add(1)
	if s.hold != nil {
		select {
		case <-s.hold:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if v := s.next.Load(); v != nil {
		s.Set(v)
	}
	return nil
}

// TestTheCallerLooksAgainWhenItsOwnerDenies: the caller's view is the older one.
func TestTheCallerLooksAgainWhenItsOwnerDenies(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		deny := w.serve(t, w.addr, &fake{append: func(_ context.Context, _ *api.BatchHeader, items []*api.AppendItem) []*api.AppendResult {
			out := make([]*api.AppendResult, len(items))
			for i := range out {
				out[i] = &api.AppendResult{Result: ResultOf(code.Errorf(code.WrongOwner, "not mine"))}
			}
			return out
		}})
		now := w.serve(t, w.addr, &fake{append: echo()})
		views := &stuck{Holder: cluster.NewHolder(at("s1", deny.addr)), hold: make(chan struct{})}
		views.next.Store(cluster.NewView(2, []cluster.Instance{at("s2", now.addr)}))
		side := w.peersOf(t, views, views.Holder)
		c := side.caller(CallerConfig{})
		do := func() *code.Error {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			_, err := c.Do(ctx, 1, 1, item("x"))
			return err
		}
		for range 100 { // a storm while the first list is under way
			if err := do(); err == nil || err.Code != code.WrongOwner {
				t.Fatalf("answered %v", err)
			}
		}
		if n := views.lists.Load(); n > 1 {
			t.Errorf("%d lists at once", n)
		}
		close(views.hold)
		within(t, "the owner of the newer view is asked", func() bool { return do() == nil })
		if n := views.lists.Load(); n > 3 {
			t.Errorf("%d lists", n)
		}
	})
}
