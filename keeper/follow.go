package keeper

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/prometheus/client_golang/prometheus"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// follower keeps a parsed copy of all keys under a prefix: it lists, watches
// from the next revision on, and lists again after any error. While etcd is
// away the copy stays as it is.
type follower[T any] struct {
	prefix string
	etcd   *clientv3.Client
	log    *slog.Logger
	lists  prometheus.Counter
	// timeout of a list.
	timeout time.Duration
	parse   func(kv *mvccpb.KeyValue) (T, error)
	// apply gets the copy after every change; it must not keep the map.
	apply func(revision int64, all map[string]T)
	// contact is told of every sign of life, with the revision it showed or 0.
	contact func(revision int64)
	// relist, capacity 1, asks for a list.
	relist chan struct{}

	// Owned by the goroutine in list or run.
	all  map[string]T
	last time.Time // when run listed last

	mu       sync.Mutex
	revision int64         // that the copy has reached
	begun    uint64        // lists so far
	listed   uint64        // the newest of them that came to its end
	reached  chan struct{} // closed and replaced when revision or listed changes
}

var errRelist = errors.New("a list was asked for")

// list loads the prefix anew.
func (f *follower[T]) list(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	f.mu.Lock()
	f.begun++
	n := f.begun
	f.mu.Unlock()
	resp, err := f.etcd.Get(ctx, f.prefix, clientv3.WithPrefix())
	if err != nil {
		return err
	}
	f.lists.Inc()
	f.all = make(map[string]T, len(resp.Kvs))
	for _, kv := range resp.Kvs {
		f.put(kv)
	}
	f.publish(resp.Header.Revision)
	f.mu.Lock()
	f.listed = n
	f.signal()
	f.mu.Unlock()
	return nil
}

// put takes one key; what cannot be read is left out, it was not this program
// that wrote it.
func (f *follower[T]) put(kv *mvccpb.KeyValue) {
	v, err := f.parse(kv)
	if err != nil {
		f.log.Error("key ignored", "key", string(kv.Key), "revision", kv.ModRevision, "err", err)
		delete(f.all, string(kv.Key))
		return
	}
	f.all[string(kv.Key)] = v
}

func (f *follower[T]) publish(revision int64) {
	f.contact(revision)
	f.apply(revision, f.all)
	f.mu.Lock()
	f.revision = revision
	f.signal()
	f.mu.Unlock()
}

// signal wakes who waits; mu is held.
func (f *follower[T]) signal() {
	if f.reached != nil {
		close(f.reached)
		f.reached = nil
	}
}

// await returns when the copy has reached a revision, or ctx ends.
func (f *follower[T]) await(ctx context.Context, revision int64) error {
	return f.until(ctx, func() bool { return f.revision >= revision })
}

// until returns when ok, which is called under mu, or ctx ends.
func (f *follower[T]) until(ctx context.Context, ok func() bool) error {
	for {
		f.mu.Lock()
		if ok() {
			f.mu.Unlock()
			return nil
		}
		if f.reached == nil {
			f.reached = make(chan struct{})
		}
		ch := f.reached
		f.mu.Unlock()
		select {
		case <-ch:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// run follows the prefix until ctx ends; list has succeeded once before.
func (f *follower[T]) run(ctx context.Context) error {
	pause := newPause()
	for {
		err := f.watch(ctx, pause.Reset)
		for ctx.Err() == nil {
			delay := f.due()
			if !errors.Is(err, errRelist) {
				f.log.Warn("watch broken, listing again", "prefix", f.prefix, "err", err)
				delay = pause.NextBackOff()
			}
			if !wait(ctx, delay) {
				break
			}
			f.last = time.Now()
			if err = f.list(ctx); err == nil {
				break
			}
		}
		if ctx.Err() != nil {
			return nil
		}
	}
}

// watch applies events until something breaks. Events that are there at once
// are applied together.
func (f *follower[T]) watch(ctx context.Context, up func()) error {
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	ch := f.etcd.Watch(ctx, f.prefix, clientv3.WithPrefix(), clientv3.WithRev(f.revision+1), clientv3.WithCreatedNotify())
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-f.relist:
			return errRelist
		case resp, ok := <-ch:
			revision, err := f.take(resp, ok)
			for more := err == nil; more; {
				select {
				case resp, ok = <-ch:
					var r int64
					r, err = f.take(resp, ok)
					revision = max(revision, r)
					more = err == nil
				default:
					more = false
				}
			}
			if revision > 0 {
				f.publish(revision)
				up()
			} else if err == nil {
				f.contact(0)
			}
			if err != nil {
				return err
			}
		}
	}
}

// take applies one response to the copy; revision is that of its last event, 0
// when there is none.
func (f *follower[T]) take(resp clientv3.WatchResponse, ok bool) (revision int64, err error) {
	if !ok {
		return 0, errors.New("the watch ended")
	}
	if err := resp.Err(); err != nil {
		return 0, fmt.Errorf("watch: %w", err)
	}
	for _, ev := range resp.Events {
		revision = max(revision, ev.Kv.ModRevision)
		if ev.Type == clientv3.EventTypeDelete {
			delete(f.all, string(ev.Kv.Key))
			continue
		}
		f.put(ev.Kv)
	}
	return revision, nil
}

// newPause is the back-off of everything here that is tried for ever: 100 ms
// growing to 3 s, half of it random.
func newPause() *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval, b.Multiplier = 100*time.Millisecond, 3*time.Second, 2
	b.Reset()
	return b
}

// wait is false when ctx ended first.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func newFollower[T any](c *Client, prefix string, parse func(*mvccpb.KeyValue) (T, error), apply func(int64, map[string]T)) *follower[T] {
	return &follower[T]{prefix: prefix, etcd: c.etcd, log: c.log, lists: c.metrics.relists.WithLabelValues(prefix),
		timeout: c.cfg.RequestTimeout.Std(), parse: parse, apply: apply, contact: c.contact, relist: make(chan struct{}, 1)}
}

// again makes run list anew.
func (f *follower[T]) again() {
	select {
	case f.relist <- struct{}{}:
	default:
	}
}
