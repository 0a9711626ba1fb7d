package room

import (
	"fmt"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"longlink/pkg/api"
	"longlink/pkg/code"
	"longlink/pkg/config"
	"longlink/pkg/wire"
)

// TestLoginStorm: ten thousand HELLOs come while no token can be checked and
// the queue is full. Each is told BUSY with a hint of its own, the room keeps
// nothing of them, and who is logged in notices nothing.
func TestLoginStorm(t *testing.T) {
	const storm, queue, workers, dialers = 10_000, 256, 2, 64
	w := newWorld(t, func(c *Config) { c.AuthQueue, c.AuthWorkers = queue, workers })
	good := w.login("good", wire.Binding{Product: "demo"})
	opened := make(chan struct{})
	open := sync.OnceFunc(func() { close(opened) })
	t.Cleanup(open)
	stall := func() { <-opened }
	w.dir.hook.Store(&stall)
	waiting := make([]*device, queue+workers)
	for i := range waiting {
		waiting[i] = w.dial()
		waiting[i].hello(w, fmt.Sprintf("waits-%d", i))
		eventually(t, "the workers are busy", func() bool { return i >= workers || len(w.room.auth.queue) == 0 })
	}
	eventually(t, "the queue is full", func() bool { return len(w.room.auth.queue) == queue })
	goroutines := runtime.NumGoroutine()

	var hints [4]atomic.Int64 // by quarters of 2 to 6 s
	work := make(chan int)
	var wg sync.WaitGroup
	for range dialers {
		wg.Go(func() {
			for i := range work {
				w.busy(i, &hints)
			}
		})
	}
	for i := range storm {
		work <- i
		if i%1000 == 999 { // in the middle of it
			good.ping()
			m := w.saver.append("good", "demo", &api.Message{Id: fmt.Sprint(i), Payload: []byte("x")})
			if state, err := w.hand("good", "demo", m); err != nil || state != api.DeliverResult_STATE_SENT {
				t.Errorf("%v %v", state, err)
			}
			if p := good.push(); p.Seq != m.Seq {
				t.Errorf("seq %d, want %d", p.Seq, m.Seq)
			}
			good.ack("demo", m.Seq)
		}
	}
	if n := runtime.NumGoroutine(); n > goroutines+dialers+8 {
		t.Errorf("%d goroutines, %d before the storm", n, goroutines)
	}
	close(work)
	wg.Wait()
	eventually(t, "nothing is kept", func() bool { return w.room.connections.Load() == queue+workers+1 })
	if n := w.metric("longlink_room_logins_total", "BUSY"); n != storm {
		t.Errorf("%v were told BUSY", n)
	}
	for i := range hints {
		if share := float64(hints[i].Load()) / storm; share < 0.2 || share > 0.3 {
			t.Errorf("quarter %d of the hints has %.2f of them", i, share)
		}
	}
	open()
	for _, d := range waiting {
		d.welcome()
	}
	good.ping()
}

// TestLoginsBehindAFullQueue: more devices come than the queue to a saver that
// hangs takes. Everybody is welcome, those over it are repeated with back-off,
// and all are bound once it answers.
func TestLoginsBehindAFullQueue(t *testing.T) {
	const devices, dialers = 4096 + 2*256 + 200, 64 // pkg/rpc queues 4096 and has two batches on the way
	w := newWorld(t, func(c *Config) { c.CallTimeout = config.Duration(30 * time.Second) })
	w.saver.mu.Lock()
	free := sync.OnceFunc(w.saver.mu.Unlock)
	t.Cleanup(free)
	all := make([]*device, devices)
	work := make(chan int)
	var wg sync.WaitGroup
	for range dialers {
		wg.Go(func() {
			for i := range work {
				c, err := net.Dial("tcp", w.room.Addresses()[i%2])
				if err != nil {
					t.Error(err)
					continue
				}
				all[i] = newDevice(t, c)
				all[i].hello(w, fmt.Sprintf("dev-%d", i), wire.Binding{Product: "demo"})
			}
		})
	}
	for i := range all {
		work <- i
	}
	close(work)
	wg.Wait()
	for _, d := range all {
		d.welcome()
	}
	eventually(t, "the queue was full", func() bool { return w.metric("longlink_batch_overflow_total", "saver.load") > 0 })
	all[0].ping()
	free()
	for _, d := range all {
		d.bound("demo", code.OK)
		_ = d.Close()
	}
}

// busy says HELLO and leaves when it is told BUSY.
func (w *world) busy(i int, hints *[4]atomic.Int64) {
	c, err := net.Dial("tcp", w.room.Addresses()[i%2])
	if err != nil {
		w.t.Error(err)
		return
	}
	defer c.Close()
	d := newDevice(w.t, c)
	d.hello(w, fmt.Sprintf("storm-%d", i))
	typ, body, ok := d.frame()
	bye, berr := wire.ParseBye(body)
	if !ok || typ != wire.TypeBye || berr != nil || bye.Code != code.Busy || bye.RetryMS < 2000 || bye.RetryMS >= 6000 {
		w.t.Errorf("%s %+v %v", typ, bye, berr)
		return
	}
	hints[(bye.RetryMS-2000)/1000].Add(1)
	_ = c.(*net.TCPConn).SetLinger(0) // leaves no TIME_WAIT behind
}
