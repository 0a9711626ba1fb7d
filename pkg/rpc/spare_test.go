package rpc

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"longlink/pkg/api"
	"longlink/pkg/cluster"
	"longlink/pkg/code"
)

// at is a saver of that id.
func at(id, addr string) cluster.Instance {
	return cluster.Instance{Kind: cluster.Saver, ID: id, RPC: addr}
}

// counting is echo that counts the items.
func counting(n *atomic.Int64) func(context.Context, *api.BatchHeader, []*api.AppendItem) []*api.AppendResult {
	answer := echo()
	return func(ctx context.Context, h *api.BatchHeader, items []*api.AppendItem) []*api.AppendResult {
		n.Add(int64(len(items)))
		return answer(ctx, h, items)
	}
}

// deadAddr is an address where nobody serves any more.
func (w *world) deadAddr(t *testing.T) string {
	s := w.serve(t, w.addr, &fake{append: echo()})
	s.stop()
	return s.addr
}

func TestAnotherOneServesWhileTheOwnerRefuses(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		var first, second atomic.Int64
		dead := at("s1", w.deadAddr(t))
		spare := w.serve(t, w.addr, &fake{append: counting(&second)})
		side := w.peers(t, dead, at("s2", spare.addr))
		c := side.caller(CallerConfig{AnyServes: true})
		for range 20 { // the very first item too, and none waits for a lease
			await(t, submit(t, c, dead, item("x"), time.Now().Add(5*time.Second)), code.OK)
		}
		if !side.peers.Refuses(dead) || side.peers.Refuses(at("s2", spare.addr)) || second.Load() != 20 {
			t.Errorf("refusing: %v; the spare served %d", side.peers.Refuses(dead), second.Load())
		}
		// It is back: no item was needed to find out, and none fails.
		w.serve(t, dead.RPC, &fake{append: counting(&first)})
		within(t, "the owner serves again", func() bool {
			await(t, submit(t, c, dead, item("x"), time.Time{}), code.OK)
			return first.Load() > 0
		})
	})
}

func TestPassedOverForASecondAtLeast(t *testing.T) {
	r := newRefusals(nil)
	r.note("a", "test")
	r.mu.Lock()
	at := r.since["a"]
	r.mu.Unlock()
	if list, none := r.due(at.Add(refusedFor - 1)); len(list) != 0 || none {
		t.Errorf("asked for a sign of life early: %v, %v", list, none)
	}
	if list, _ := r.due(at.Add(refusedFor)); len(list) != 1 {
		t.Errorf("not asked: %v", list)
	}
	r.back("a", at.Add(-1)) // it refused again after it was asked
	if !r.has("a") {
		t.Error("an older sign of life counts")
	}
	r.still("a", at.Add(refusedFor))
	if list, _ := r.due(at.Add(refusedFor + 1)); len(list) != 0 {
		t.Error("asked without a pause")
	}
	r.back("a", at.Add(refusedFor))
	if _, none := r.due(at.Add(time.Hour)); !none || r.has("a") {
		t.Error("it is not back")
	}
	r.note("a", "test")
	r.prune(map[string]bool{"b": true})
	if r.has("a") {
		t.Error("one that left is kept")
	}
}

func TestAllRefuse(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		a, b := at("s1", w.deadAddr(t)), at("s2", w.deadAddr(t))
		c := w.peers(t, a, b).caller(CallerConfig{AnyServes: true})
		for _, to := range []cluster.Instance{a, b, a} {
			await(t, submit(t, c, to, item("x"), time.Time{}), code.Unavailable)
		}
		alone := w.peers(t, a).caller(CallerConfig{AnyServes: true})
		await(t, submit(t, alone, a, item("x"), time.Time{}), code.Unavailable)
	})
}

func TestOnlyWhereAnyServes(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		var n atomic.Int64
		dead := at("s1", w.deadAddr(t))
		spare := w.serve(t, w.addr, &fake{append: counting(&n)})
		c := w.peers(t, dead, at("s2", spare.addr)).caller(CallerConfig{})
		for range 3 {
			await(t, submit(t, c, dead, item("x"), time.Time{}), code.Unavailable)
		}
		if n.Load() != 0 {
			t.Errorf("another one got %d items", n.Load())
		}
	})
}

// TestOrderWhileTheOwnerComesAndGoes: items of one device are handled in order
// and once, whoever handles them, and none that was sent is sent again.
func TestOrderWhileTheOwnerComesAndGoes(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		const devices, each = 8, 600
		var mu sync.Mutex
		last, served := map[string]int{}, map[string]int{}
		handler := func(who string) *fake {
			return &fake{append: func(_ context.Context, _ *api.BatchHeader, items []*api.AppendItem) []*api.AppendResult {
				mu.Lock()
				defer mu.Unlock()
				out := make([]*api.AppendResult, len(items))
				for i, it := range items {
					var n int
					if _, err := fmt.Sscan(it.Message.Id, &n); err != nil || n <= last[it.Device] {
						t.Errorf("%s: %d after %d", it.Device, n, last[it.Device])
					}
					last[it.Device] = n
					served[who]++
					out[i] = &api.AppendResult{}
				}
				return out
			}}
		}
		s1 := w.serve(t, w.addr, handler("s1"))
		s2 := w.serve(t, w.addr, handler("s2"))
		owner := at("s1", s1.addr)
		side := w.peers(t, owner, at("s2", s2.addr))
		c := side.caller(CallerConfig{AnyServes: true, Workers: 2, Max: 4, Limit: devices * each * 2})
		var left sync.WaitGroup
		var unknown, failed atomic.Int64
		left.Add(devices * each)
		send := func(from, to int) {
			for n := from; n < to; n++ {
				for d := range devices {
					it := &api.AppendItem{Device: fmt.Sprint("d", d), Message: &api.Message{Id: fmt.Sprint(n + 1)}}
					c.Submit(owner, uint64(d), time.Time{}, it, func(_ *api.AppendResult, err *code.Error) {
						defer left.Done()
						switch {
						case err == nil:
						case err.Code == code.Unknown:
							unknown.Add(1)
						default:
							failed.Add(1)
						}
					})
				}
			}
		}
		servedBy := func(who string) int {
			mu.Lock()
			defer mu.Unlock()
			return served[who]
		}
		const parts = 2
		for part := range parts {
			before := servedBy("s1")
			send(each/parts*part, each/parts*(part+1)-each/parts/2)
			within(t, "the owner serves", func() bool { return servedBy("s1") > before })
			s1.stop()
			before = servedBy("s2")
			send(each/parts*(part+1)-each/parts/2, each/parts*(part+1))
			within(t, "the spare serves", func() bool { return servedBy("s2") > before })
			s1 = w.serve(t, owner.RPC, handler("s1"))
			within(t, "the owner is asked again", func() bool { return !side.peers.Refuses(owner) })
		}
		left.Wait()
		if failed.Load() != 0 {
			t.Errorf("%d items failed though another one served", failed.Load())
		}
		if unknown.Load() > parts*2*4 { // a batch of each worker at each stop
			t.Errorf("%d items are unknown", unknown.Load())
		}
	})
}

// TestASilentInstanceIsPassedOver: one that is stopped (SIGSTOP) takes the batch
// and does not answer. What it may have seen is not sent again.
func TestASilentInstanceIsPassedOver(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		var n atomic.Int64
		entered := make(chan int, 10)
		silent := w.serve(t, w.addr, &fake{append: blocking(entered, nil)})
		spare := w.serve(t, w.addr, &fake{append: counting(&n)})
		owner := at("s1", silent.addr)
		side := w.peers(t, owner, at("s2", spare.addr))
		c := side.caller(CallerConfig{AnyServes: true, Workers: 1, Max: 1, Timeout: 100 * time.Millisecond})
		first := submit(t, c, owner, item("1"), time.Time{})
		<-entered
		second := submit(t, c, owner, item("2"), time.Time{})
		await(t, first, code.Unknown)
		await(t, second, code.OK)
		if n.Load() != 1 {
			t.Errorf("the spare got %d items", n.Load())
		}
		// It does answer pings, so a second later it is tried again.
		within(t, "it is tried again", func() bool { return !side.peers.Refuses(owner) })
		await(t, submit(t, c, owner, item("3"), time.Time{}), code.Unknown)
	})
}

// TestAFullSpareTakesWhatMoves: its own queue has nothing to do with it; what
// moves is bounded by the queue that it is in.
func TestAFullSpareTakesWhatMoves(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		entered, release := make(chan int, 10), make(chan struct{})
		block, serve := blocking(entered, release), echo()
		dead := at("s1", w.deadAddr(t))
		s := w.serve(t, w.addr, &fake{append: func(ctx context.Context, h *api.BatchHeader, items []*api.AppendItem) []*api.AppendResult {
			if items[0].Device == "own" {
				return block(ctx, h, items)
			}
			return serve(ctx, h, items)
		}})
		spare := at("s2", s.addr)
		c := w.peers(t, dead, spare).caller(CallerConfig{AnyServes: true, Workers: 1, Max: 1, Limit: 2})
		own := func() <-chan answer {
			return submit(t, c, spare, &api.AppendItem{Device: "own", Message: &api.Message{}}, time.Time{})
		}
		held := []<-chan answer{own()}
		<-entered
		held = append(held, own(), own())
		await(t, own(), code.RateLimited)
		await(t, submit(t, c, dead, item("x"), time.Time{}), code.OK)
		close(release)
		for _, ch := range held {
			await(t, ch, code.OK)
		}
	})
}

// TestWhatWaitedForOneThatLeftMoves when its lease has ended.
func TestWhatWaitedForOneThatLeftMoves(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		var n atomic.Int64
		entered, release := make(chan int, 10), make(chan struct{})
		old := w.serve(t, w.addr, &fake{append: blocking(entered, release)})
		spare := w.serve(t, w.addr, &fake{append: counting(&n)})
		owner := at("s1", old.addr)
		side := w.peers(t, owner, at("s2", spare.addr))
		c := side.caller(CallerConfig{AnyServes: true, Workers: 1, Max: 1, Timeout: 300 * time.Millisecond})
		sent := submit(t, c, owner, item("1"), time.Time{})
		<-entered
		var queued []<-chan answer
		for range 5 {
			queued = append(queued, submit(t, c, owner, item("2"), time.Time{}))
		}
		side.views.Set(cluster.NewView(2, []cluster.Instance{at("s2", spare.addr)}))
		await(t, sent, code.Unknown)
		for _, ch := range queued {
			await(t, ch, code.OK)
		}
		close(release)
		within(t, "its queue is gone", func() bool {
			c.mu.Lock()
			defer c.mu.Unlock()
			_, ok := c.dests["s1@"+old.addr]
			return !ok
		})
		if n.Load() != 5 {
			t.Errorf("the other one got %d", n.Load())
		}
	})
}

// TestStopDuringTheMove: every item is answered once.
func TestStopDuringTheMove(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		entered := make(chan int, 100)
		dead := at("s1", w.deadAddr(t))
		s := w.serve(t, w.addr, &fake{append: blocking(entered, nil)})
		side := w.peers(t, dead, at("s2", s.addr))
		c := side.caller(CallerConfig{AnyServes: true, Workers: 1, Max: 1})
		var all []<-chan answer
		for range 10 {
			all = append(all, submit(t, c, dead, item("x"), time.Time{}))
		}
		<-entered // one is at the spare
		if err := side.stop(); err != nil {
			t.Error(err)
		}
		await(t, all[0], code.Unknown)
		for _, ch := range all[1:] {
			await(t, ch, code.Unavailable)
		}
	})
}

// TestARefusalOfOneThatLeftIsForgotten: its queue, which goes on for a while,
// notes it after the view has lost it.
func TestARefusalOfOneThatLeftIsForgotten(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		side := w.peers(t, at("s1", w.serve(t, w.addr, &fake{append: echo()}).addr))
		gone := at("s2", "127.0.0.1:1")
		side.peers.refusals.note(gone.RPC, "test")
		within(t, "it is forgotten", func() bool { return !side.peers.Refuses(gone) })
		side.peers.mu.Lock()
		defer side.peers.mu.Unlock()
		if c := side.peers.conns[gone.RPC]; c != nil {
			t.Error("it was asked for a sign of life")
		}
	})
}
