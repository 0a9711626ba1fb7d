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
	"longlink/pkg/slot"
)

func TestOrderAndResults(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		const keys, each = 20, 200
		var mu sync.Mutex
		last := map[string]int{}
		numbers := map[uint64]bool{}
		f := &fake{append: func(_ context.Context, h *api.BatchHeader, items []*api.AppendItem) []*api.AppendResult {
			mu.Lock()
			defer mu.Unlock()
			if h.Sender != "me" || h.SenderEpoch != 7 || h.ViewRevision != 1 || h.Number == 0 || len(items) > 16 {
				t.Errorf("header %v of %d items", h, len(items))
			}
			numbers[h.Number] = true
			out := make([]*api.AppendResult, len(items))
			for i, it := range items {
				var n int
				if _, err := fmt.Sscan(it.Message.Id, &n); err != nil || n != last[it.Device]+1 {
					t.Errorf("%s: %d after %d", it.Device, n, last[it.Device])
				}
				last[it.Device] = n
				out[i] = &api.AppendResult{Id: it.Device + "/" + it.Message.Id}
				if n%10 == 0 {
					out[i].Result = ResultOf(code.Errorf(code.InboxFull, "%d", n))
				}
			}
			return out
		}}
		s := w.serve(t, w.addr, f)
		side := w.peers(t, saver(s.addr))
		c := side.caller(CallerConfig{Workers: 3, Limit: keys * each * 3, Max: 16})
		var left sync.WaitGroup
		left.Add(keys * each)
		var started sync.WaitGroup
		for k := range keys {
			started.Go(func() {
				device := fmt.Sprintf("d%d", k)
				done := 0
				for n := 1; n <= each; n++ {
					it := &api.AppendItem{Device: device, Message: &api.Message{Id: fmt.Sprint(n)}}
					c.Submit(saver(s.addr), slot.Key(device), time.Time{}, it, func(r *api.AppendResult, err *code.Error) {
						defer left.Done()
						done++ // one worker per key: no lock needed
						if done != n {
							t.Errorf("%s: answer %d came as number %d", device, n, done)
						}
						if (n%10 == 0) != (err != nil && err.Code == code.InboxFull) || r.GetId() != fmt.Sprintf("%s/%d", device, n) {
							t.Errorf("%s %d: %v, %v", device, n, r, err)
						}
					})
				}
			})
		}
		started.Wait()
		left.Wait()
	})
}

func TestDoReachesTheOwner(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		s := w.serve(t, w.addr, &fake{append: echo()})
		side := w.peers(t, saver(s.addr))
		c := side.caller(CallerConfig{})
		r, err := c.Do(t.Context(), 17, 17, item("a"))
		if err != nil || r.Id != "a" || r.Seq != 1 {
			t.Errorf("%v, %v", r, err)
		}
		side.views.Set(cluster.NewView(2, nil))
		if _, err := c.Do(t.Context(), 17, 17, item("a")); err == nil || err.Code != code.Unavailable {
			t.Errorf("nobody owns the slot: %v", err)
		}
	})
}

// blocking is a handler that waits for release, or the end of its stream.
func blocking(entered chan<- int, release <-chan struct{}) func(context.Context, *api.BatchHeader, []*api.AppendItem) []*api.AppendResult {
	answer := echo()
	return func(ctx context.Context, h *api.BatchHeader, items []*api.AppendItem) []*api.AppendResult {
		entered <- len(items)
		select {
		case <-release:
		case <-ctx.Done():
		}
		return answer(ctx, h, items)
	}
}

func TestFullQueueRefuses(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		entered, release := make(chan int, 10), make(chan struct{})
		s := w.serve(t, w.addr, &fake{append: blocking(entered, release)})
		c := w.peers(t, saver(s.addr)).caller(CallerConfig{Workers: 1, Limit: 2, Max: 1})
		first := submit(t, c, saver(s.addr), item("1"), time.Time{})
		<-entered
		queued := []<-chan answer{submit(t, c, saver(s.addr), item("2"), time.Time{}), submit(t, c, saver(s.addr), item("3"), time.Time{})}
		await(t, submit(t, c, saver(s.addr), item("4"), time.Time{}), code.RateLimited)
		close(release)
		for _, ch := range append(queued, first) {
			await(t, ch, code.OK)
		}
	})
}

func TestDeadlines(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		var remaining atomic.Uint32
		entered, release := make(chan int, 10), make(chan struct{})
		wait := blocking(entered, release)
		s := w.serve(t, w.addr, &fake{append: func(ctx context.Context, h *api.BatchHeader, items []*api.AppendItem) []*api.AppendResult {
			remaining.Store(items[0].Meta.RemainingMs)
			return wait(ctx, h, items)
		}})
		c := w.peers(t, saver(s.addr)).caller(CallerConfig{Workers: 1, Max: 1})
		first := submit(t, c, saver(s.addr), item("1"), time.Now().Add(time.Minute))
		<-entered
		if ms := remaining.Load(); ms == 0 || ms > 60_001 {
			t.Errorf("%d ms remain", ms)
		}
		// The second one's time ends in the queue.
		soon := time.Now().Add(20 * time.Millisecond)
		second := submit(t, c, saver(s.addr), item("2"), soon)
		<-time.After(time.Until(soon) + time.Millisecond)
		close(release)
		await(t, first, code.OK)
		await(t, second, code.Deadline)
		if n := len(entered); n != 0 {
			t.Errorf("a batch of %d was sent too late", n)
		}
		// Who waits gives up by his own context.
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := c.Do(ctx, 0, 0, item("3")); err != nil && err.Code != code.Deadline {
			t.Error(err)
		}
	})
}

func TestNoAnswerInTimeIsLost(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		entered, release := make(chan int, 10), make(chan struct{})
		s := w.serve(t, w.addr, &fake{append: blocking(entered, release)})
		c := w.peers(t, saver(s.addr)).caller(CallerConfig{Workers: 1, Timeout: 50 * time.Millisecond})
		await(t, submit(t, c, saver(s.addr), item("1"), time.Time{}), code.Unknown)
		close(release)
		await(t, submit(t, c, saver(s.addr), item("2"), time.Time{}), code.OK)
	})
}

func TestServerKilledAndRestarted(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		entered := make(chan int, 10)
		s := w.serve(t, w.addr, &fake{append: blocking(entered, nil)})
		side := w.peers(t, saver(s.addr))
		c := side.caller(CallerConfig{Workers: 1, Max: 1})
		sent := submit(t, c, saver(s.addr), item("1"), time.Time{})
		<-entered
		queued := submit(t, c, saver(s.addr), item("2"), time.Time{})
		s.stop()
		await(t, sent, code.Unknown)
		await(t, queued, code.Unavailable) // it never left
		await(t, submit(t, c, saver(s.addr), item("3"), time.Time{}), code.Unavailable)

		again := w.serve(t, s.addr, &fake{append: echo()})
		within(t, "it works again", func() bool {
			return await(t, submit(t, c, saver(again.addr), item("4"), time.Time{}), code.OK, code.Unavailable).err == nil
		})
	})
}

// TestRestartBetweenBatches: a stream that ended while nothing was in flight
// costs no item. Over TCP a batch may have been written before the end is
// known, which is UNKNOWN rightly.
func TestRestartBetweenBatches(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		s := w.serve(t, w.addr, &fake{append: echo()})
		side := w.peers(t, saver(s.addr))
		c := side.caller(CallerConfig{Workers: 1})
		allowed := []code.Code{code.OK}
		if _, ok := w.net.(*TCP); ok {
			allowed = append(allowed, code.Unavailable, code.Unknown)
		}
		for range 5 {
			within(t, "it works", func() bool {
				return await(t, submit(t, c, saver(s.addr), item("1"), time.Time{}), allowed...).err == nil
			})
			s.stop()
			s = w.serve(t, s.addr, &fake{append: echo()})
		}
	})
}

func TestPrune(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		entered := make(chan int, 10)
		s := w.serve(t, w.addr, &fake{append: blocking(entered, nil)})
		side := w.peers(t, saver(s.addr))
		c := side.caller(CallerConfig{Workers: 1, Max: 1})
		sent := submit(t, c, saver(s.addr), item("1"), time.Time{})
		<-entered
		queued := submit(t, c, saver(s.addr), item("2"), time.Time{})
		side.views.Set(cluster.NewView(2, nil))
		await(t, sent, code.Unknown)
		await(t, queued, code.Unavailable)
		within(t, "queue and connection are gone", func() bool {
			c.mu.Lock()
			defer c.mu.Unlock()
			side.peers.mu.Lock()
			defer side.peers.mu.Unlock()
			return len(c.dests) == 0 && len(side.peers.conns) == 0
		})
		if _, err := side.peers.To(cluster.Saver, "s1"); err == nil {
			t.Error("the way to an instance that left")
		}
		// The instance is back, with another address.
		s.stop()
		again := w.serve(t, w.addr, &fake{append: echo()})
		side.views.Set(cluster.NewView(3, []cluster.Instance{saver(again.addr)}))
		await(t, submit(t, c, saver(again.addr), item("3"), time.Time{}), code.OK)
	})
}

func TestPanicInHandler(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		answer := echo()
		s := w.serve(t, w.addr, &fake{append: func(ctx context.Context, h *api.BatchHeader, items []*api.AppendItem) []*api.AppendResult {
			switch items[0].Message.Id {
			case "panic":
				panic("boom")
			case "short":
				return nil
			}
			return answer(ctx, h, items)
		}})
		c := w.peers(t, saver(s.addr)).caller(CallerConfig{Workers: 1})
		for _, bad := range []string{"panic", "short"} {
			await(t, submit(t, c, saver(s.addr), item(bad), time.Time{}), code.Unknown)
			await(t, submit(t, c, saver(s.addr), item("good"), time.Time{}), code.OK)
		}
	})
}

func TestPanicInDone(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		s := w.serve(t, w.addr, &fake{append: echo()})
		c := w.peers(t, saver(s.addr)).caller(CallerConfig{Workers: 1})
		c.Submit(saver(s.addr), 1, time.Time{}, item("1"), func(*api.AppendResult, *code.Error) { panic("boom") })
		await(t, submit(t, c, saver(s.addr), item("2"), time.Time{}), code.OK)
	})
}

func TestLargeAndBrokenMessages(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		s := w.serve(t, w.addr, &fake{append: echo()})
		c := w.peers(t, saver(s.addr)).caller(CallerConfig{Workers: 1})
		big := item("big")
		big.Message.Payload = make([]byte, 8<<20)
		await(t, submit(t, c, saver(s.addr), big, time.Time{}), code.OK)
	})
}

func TestBeforeAndAfterRun(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		s := w.serve(t, w.addr, &fake{append: echo()})
		side := w.peers(t, saver(s.addr))
		c := side.caller(CallerConfig{})
		await(t, submit(t, c, saver(s.addr), item("1"), time.Time{}), code.OK)
		if err := side.stop(); err != nil {
			t.Error(err)
		}
		await(t, submit(t, c, saver(s.addr), item("2"), time.Time{}), code.RateLimited, code.Shutdown)
		other := cluster.Instance{Kind: cluster.Saver, ID: "s2", RPC: "x"}
		await(t, submit(t, c, other, item("3"), time.Time{}), code.Shutdown)
		if _, err := side.peers.Conn(s.addr); err == nil {
			t.Error("a connection after the end")
		}
	})
}

// TestEveryItemIsAnsweredOnce while the peers end under load.
func TestEveryItemIsAnsweredOnce(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		s := w.serve(t, w.addr, &fake{append: echo()})
		side := w.peers(t, saver(s.addr))
		c := side.caller(CallerConfig{Workers: 2, Max: 8, Limit: 64})
		var submitted, answered atomic.Int64
		begun := make(chan struct{})
		var once sync.Once
		var senders sync.WaitGroup
		for k := range 4 {
			senders.Go(func() {
				for {
					submitted.Add(1)
					stopped := make(chan bool, 1)
					c.Submit(saver(s.addr), uint64(k), time.Time{}, item("x"), func(_ *api.AppendResult, err *code.Error) {
						answered.Add(1)
						stopped <- err != nil
					})
					once.Do(func() { close(begun) })
					if <-stopped {
						return
					}
				}
			})
		}
		<-begun
		if err := side.stop(); err != nil {
			t.Error(err)
		}
		senders.Wait()
		if submitted.Load() != answered.Load() {
			t.Errorf("%d submitted, %d answered", submitted.Load(), answered.Load())
		}
	})
}

func BenchmarkCaller(b *testing.B) {
	for name, w := range map[string]*world{"TCP": {&TCP{}, "127.0.0.1:0"}, "InProcess": {&InProcess{}, "saver:0"}} {
		b.Run(name, func(b *testing.B) {
			s := w.serve(b, w.addr, &fake{append: echo()})
			side := w.peers(b, saver(s.addr))
			c := side.caller(CallerConfig{Limit: 1 << 20})
			room := make(chan struct{}, 4096)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				room <- struct{}{}
				c.Submit(saver(s.addr), uint64(i), time.Time{}, item("x"), func(*api.AppendResult, *code.Error) { <-room })
			}
			for range cap(room) {
				room <- struct{}{}
			}
		})
	}
}
