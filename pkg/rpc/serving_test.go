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

// pends answers Pending and counts the calls.
func pends(n *atomic.Int64) *fake {
	return &fake{pending: func(context.Context, *api.PendingRequest) (*api.PendingReply, error) {
		n.Add(1)
		return &api.PendingReply{}, nil
	}}
}

// pending asks the serving instance of the slot whose owner is of that id.
func (s *side) pending(t *testing.T, owner string) *code.Error {
	t.Helper()
	v := s.views.View()
	for slot := range uint16(4096) {
		if o, _ := v.Owner(cluster.Saver, slot); o.ID != owner {
			continue
		}
		cc, err := s.peers.ToServing(cluster.Saver, slot)
		if err == nil {
			_, err = api.NewSaverClient(cc).Pending(t.Context(), &api.PendingRequest{})
		}
		return FromStatus(err)
	}
	t.Fatalf("%s owns nothing", owner)
	return nil
}

func TestUnaryCallsMoveOnce(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		var first, second atomic.Int64
		dead := at("s1", w.deadAddr(t))
		spare := w.serve(t, w.addr, pends(&second))
		side := w.peers(t, dead, at("s2", spare.addr))
		for range 5 {
			if err := side.pending(t, "s1"); err != nil {
				t.Errorf("while the owner refuses: %v", err)
			}
		}
		if second.Load() != 5 || !side.peers.Refuses(dead) {
			t.Errorf("the spare was asked %d times", second.Load())
		}
		w.serve(t, dead.RPC, pends(&first))
		within(t, "the owner is asked again", func() bool {
			if err := side.pending(t, "s1"); err != nil {
				t.Errorf("while it comes back: %v", err)
			}
			return first.Load() > 0
		})
		side.views.Set(cluster.NewView(2, nil))
		if _, err := side.peers.ToServing(cluster.Saver, 1); err == nil {
			t.Error("a way to nobody")
		}
	})
}

func TestUnaryCallsThatWereSentDoNotMove(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		var second atomic.Int64
		entered := make(chan struct{})
		owner := w.serve(t, w.addr, &fake{pending: func(ctx context.Context, _ *api.PendingRequest) (*api.PendingReply, error) {
			close(entered)
			<-ctx.Done()
			return nil, ctx.Err()
		}})
		spare := w.serve(t, w.addr, pends(&second))
		side := w.peers(t, at("s1", owner.addr), at("s2", spare.addr))
		failed := make(chan *code.Error, 1)
		go func() { failed <- side.pending(t, "s1") }()
		<-entered
		owner.stop()
		if err := <-failed; err == nil || err.Code != code.Unavailable {
			t.Errorf("the cut off call got %v", err)
		}
		if second.Load() != 0 {
			t.Error("a call that was sent was sent again")
		}
	})
}

func TestUnaryCallsWhereAllRefuse(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		side := w.peers(t, at("s1", w.deadAddr(t)), at("s2", w.deadAddr(t)))
		for range 3 {
			if err := side.pending(t, "s1"); err == nil || err.Code != code.Unavailable {
				t.Errorf("nobody serves: %v", err)
			}
		}
	})
}

// TestHeldInstancesThatRefuseAreSkipped: the view may show them for minutes.
func TestHeldInstancesThatRefuseAreSkipped(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		held := at("s1", w.deadAddr(t))
		held.Held = true
		side := w.peers(t, held)
		c := side.caller(CallerConfig{Workers: 1})
		await(t, submit(t, c, held, item("1"), time.Time{}), code.Unavailable)
		var answered bool // at once: no queue, no pause
		c.Submit(held, 1, time.Time{}, item("2"), func(_ *api.AppendResult, err *code.Error) {
			answered = err != nil && err.Code == code.Unavailable
		})
		if !answered {
			t.Error("an item waits for a held instance that refuses")
		}
		if _, err := side.peers.To(cluster.Saver, "s1"); FromStatus(err) == nil {
			t.Error("a connection to a held instance that refuses")
		}
		if _, err := side.peers.ToOwner(cluster.Saver, 1); FromStatus(err) == nil {
			t.Error("a connection to a held owner that refuses")
		}
		// One that is only held is called; so is this one when it answers again.
		w.serve(t, held.RPC, &fake{append: echo()})
		within(t, "it answers", func() bool { return !side.peers.Refuses(held) })
		await(t, submit(t, c, held, item("3"), time.Time{}), code.OK)
		if _, err := side.peers.To(cluster.Saver, "s1"); err != nil {
			t.Error(err)
		}
	})
}
