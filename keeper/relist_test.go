package keeper

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	clientv3 "go.etcd.io/etcd/client/v3"

	"longlink/pkg/cluster"
)

// frozen is etcd with watches that are there and say nothing, as one whose
// connection hangs.
type frozen struct {
	clientv3.Watcher
	stuck atomic.Bool
	begun atomic.Int64
}

func (f *frozen) Watch(ctx context.Context, key string, o ...clientv3.OpOption) clientv3.WatchChan {
	f.begun.Add(1)
	if f.stuck.Load() {
		return make(clientv3.WatchChan)
	}
	return f.Watcher.Watch(ctx, key, o...)
}

// stuckClient follows nothing of what happens after its start.
func (w *world) stuckClient(t *testing.T) (*Client, *frozen) {
	t.Helper()
	c := w.connect(t)
	f := &frozen{Watcher: c.etcd.Watcher}
	f.stuck.Store(true)
	c.etcd.Watcher = f
	run(t, c)
	eventually(t, "it watches", func() bool { return f.begun.Load() >= int64(len(c.followers())) })
	return c, f
}

func lists(t *testing.T, c *Client) float64 {
	t.Helper()
	var m dto.Metric
	if err := c.metrics.relists.WithLabelValues(instancesPrefix).Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetCounter().GetValue()
}

func TestRelistShowsWhatAStuckWatchMissed(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		behind, f := w.stuckClient(t)
		other := w.client(t)
		run(t, other.Announce(room("r1")))
		seen := sees(t, other, "r1", true)
		if _, ok := behind.Views().View().Get(cluster.Room, "r1"); ok {
			t.Fatal("the watch is not stuck")
		}
		if err := cluster.Relist(t.Context(), behind.Views()); err != nil {
			t.Fatal(err)
		}
		i, ok := behind.Views().View().Get(cluster.Room, "r1")
		if !ok || i.Epoch != seen.Epoch || behind.Views().View().Revision < other.Views().View().Revision {
			t.Errorf("after the list: %+v, %v", i, ok)
		}
		// The watch was begun anew with it.
		f.stuck.Store(false)
		if err := cluster.Relist(t.Context(), behind.Views()); err != nil {
			t.Fatal(err)
		}
		run(t, other.Announce(room("r2")))
		sees(t, behind, "r2", true)
	})
}

func TestAStormOfRelistsIsAFewLists(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		c, _ := w.stuckClient(t)
		before := lists(t, c)
		began := time.Now()
		var all sync.WaitGroup
		var failed atomic.Int64
		for range 50 {
			all.Go(func() {
				for range 5 {
					if err := cluster.Relist(t.Context(), c.Views()); err != nil {
						failed.Add(1)
					}
				}
			})
		}
		all.Wait()
		if n := lists(t, c) - before; n < 1 || n > 2+float64(time.Since(began)/relistEvery) {
			t.Errorf("%v lists for 250 calls in %v", n, time.Since(began))
		}
		if failed.Load() > 50 {
			t.Errorf("%d of 250 calls failed", failed.Load())
		}
	})
}

// TestRelistWithoutEtcd costs one wait, not one for every caller.
func TestRelistWithoutEtcd(t *testing.T) {
	outages(t, func(t *testing.T, w *world) {
		c := w.client(t)
		w.kill()
		began := time.Now()
		if err := cluster.Relist(t.Context(), c.Views()); err == nil {
			t.Error("a list without etcd")
		}
		if d := time.Since(began); d > relistTimeout+5*time.Second {
			t.Errorf("it took %v", d)
		}
		for range 1000 {
			if err := cluster.Relist(t.Context(), c.Views()); err == nil {
				t.Error("a list without etcd")
			}
		}
		if d := time.Since(began); d > 10*time.Second {
			t.Errorf("a thousand calls took %v", d)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		eventually(t, "a call whose caller has gone", func() bool {
			return errors.Is(cluster.Relist(ctx, c.Views()), context.Canceled)
		})
		w.start()
		eventually(t, "etcd lists again", func() bool { return cluster.Relist(t.Context(), c.Views()) == nil })
	})
}

func TestRelistBeforeRun(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		c, other := w.connect(t), w.client(t)
		run(t, other.Announce(room("r1")))
		if err := cluster.Relist(t.Context(), c.Views()); err != nil {
			t.Fatal(err)
		}
		sees(t, c, "r1", true)
	})
}

// TestTwoProcessesOfOneID: the younger one says whose place it takes, the older
// one ends with an error that says what to do, and the younger one stays.
func TestTwoProcessesOfOneID(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		var mu sync.Mutex
		var text bytes.Buffer
		log := slog.New(slog.NewTextHandler(&lockedWriter{&mu, &text}, nil))
		b, err := Connect(t.Context(), testConfig(w), Options{Member: w.member, Log: log, Registry: prometheus.NewRegistry()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(b.Close)
		run(t, b)
		a := w.client(t)
		for _, kind := range []cluster.Kind{cluster.Saver, cluster.Register, cluster.Coordinator} {
			older, younger := room("twice"), room("twice")
			older.Kind, younger.Kind, younger.RPC = kind, kind, "127.0.0.1:2"
			p := run(t, a.Announce(older))
			next := b.Announce(younger)
			run(t, next)
			var taken *TakenOverError
			if err := <-p.err; !errors.As(err, &taken) || taken.RPC != younger.RPC ||
				!strings.Contains(err.Error(), "cluster.id") || !strings.Contains(err.Error(), younger.RPC) {
				t.Errorf("%s: the older one ended with %v", kind, err)
			}
			eventually(t, "the younger one is in the view", func() bool {
				i, ok := a.Views().View().Get(kind, "twice")
				return ok && i.Epoch == next.Instance().Epoch && i.RPC == younger.RPC
			})
		}
		mu.Lock()
		defer mu.Unlock()
		if n := strings.Count(text.String(), "takes the place of another one"); n != 3 {
			t.Errorf("the younger ones warned %d times:\n%s", n, text.String())
		}
	})
}

type lockedWriter struct {
	mu *sync.Mutex
	to *bytes.Buffer
}

func (w *lockedWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.to.Write(b)
}
