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

// denying answers every item that another one owns its slot.
func denying(context.Context, *api.BatchHeader, []*api.AppendItem) []*api.AppendResult {
	return []*api.AppendResult{{Result: ResultOf(code.Errorf(code.WrongOwner, "not mine"))}}
}

// TestADisputeThatStaysCostsFewLists: the one that denies is cut off from etcd.
func TestADisputeThatStaysCostsFewLists(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		views := &stuck{Holder: cluster.NewHolder(at("s1", w.serve(t, w.addr, &fake{append: denying}).addr))}
		c := w.peersOf(t, views, views.Holder).caller(CallerConfig{})
		began := time.Now()
		for range 3 {
			within(t, "another list, or none for a while", func() bool {
				await(t, submit(t, c, views.View().Kind(cluster.Saver)[0], item("x"), time.Time{}), code.WrongOwner)
				return views.lists.Load() > 0 && time.Since(began) > relistRest
			})
			began = began.Add(relistRest)
		}
		// At 0, one rest and three rests at the earliest.
		if n := views.lists.Load(); n > 3 {
			t.Errorf("%d lists in three rests", n)
		}
	})
}

// TestAnOldDisputeCostsNoList: the view has moved on while the batch was under way.
func TestAnOldDisputeCostsNoList(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		views := &stuck{Holder: cluster.NewHolder()}
		s := w.serve(t, w.addr, &fake{append: func(context.Context, *api.BatchHeader, []*api.AppendItem) []*api.AppendResult {
			v := views.View()
			views.Set(v.Next(v.Revision+1, v.All()))
			return denying(context.Background(), nil, nil)
		}})
		views.Set(cluster.NewView(2, []cluster.Instance{at("s1", s.addr)}))
		side := w.peersOf(t, views, views.Holder)
		c := side.caller(CallerConfig{})
		for range 100 {
			await(t, submit(t, c, at("s1", s.addr), item("x"), time.Time{}), code.WrongOwner)
		}
		if err := side.stop(); err != nil {
			t.Error(err)
		}
		if n := views.lists.Load(); n != 0 {
			t.Errorf("%d lists", n)
		}
	})
}
