package keeper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"longlink/pkg/cluster"
	"longlink/pkg/wire"
)

// maxRaces bounds how often a compare-and-put is tried again because somebody
// else changed the key in between.
const maxRaces = 20

// left is the state of an instance that stopped and is in no view any more.
const left cluster.State = "left"

// leaveTimeout bounds how long a stopping process waits to leave the view.
const leaveTimeout = time.Second

// Epoch gives a process its epoch for an instance id: at least the Unix time in
// milliseconds and higher than any given for this id before. A process asks
// once and keeps it for its life.
func (c *Client) Epoch(ctx context.Context, kind cluster.Kind, id string) (uint64, error) {
	if !wire.ValidName(id) {
		return 0, fmt.Errorf("instance id %q must be 1 to 64 characters A-Z a-z 0-9 . _ ~ -", id)
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.RequestTimeout.Std())
	defer cancel()
	key := epochKey(kind, id)
	for range maxRaces {
		resp, err := c.etcd.Get(ctx, key)
		if err != nil {
			return 0, fmt.Errorf("an epoch for %s %s: %w", kind, id, err)
		}
		epoch, seen := uint64(time.Now().UnixMilli()), int64(0)
		if len(resp.Kvs) > 0 {
			last, err := strconv.ParseUint(string(resp.Kvs[0].Value), 10, 64)
			if err != nil {
				return 0, fmt.Errorf("%s in etcd is damaged: delete it", key)
			}
			epoch, seen = max(epoch, last+1), resp.Kvs[0].ModRevision
		}
		txn, err := c.etcd.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(key), "=", seen)).
			Then(clientv3.OpPut(key, strconv.FormatUint(epoch, 10))).Commit()
		if err != nil {
			return 0, fmt.Errorf("an epoch for %s %s: %w", kind, id, err)
		}
		if txn.Succeeded {
			return epoch, nil
		}
	}
	return 0, fmt.Errorf("an epoch for %s %s: too many processes ask for this id at once", kind, id)
}

// TakenOverError ends an Announcement whose id another live process announces.
type TakenOverError struct {
	Kind  cluster.Kind
	ID    string
	Epoch uint64 // of the other one
	RPC   string // where it answers
}

// Error says what to do.
func (e *TakenOverError) Error() string {
	return fmt.Sprintf("another process (at %s, epoch %d) announces %s %q: this one ends; if both were meant to run, give one of the two another instance id (cluster.id)", e.RPC, e.Epoch, e.Kind, e.ID)
}

// Announcement keeps one instance in the registry.
type Announcement struct {
	c    *Client
	wake chan struct{} // capacity 1

	mu   sync.Mutex
	inst cluster.Instance
}

// Announce makes the announcement of an instance; Run puts it into the
// registry. An Epoch of 0 is replaced by one from Client.Epoch.
func (c *Client) Announce(i cluster.Instance) *Announcement {
	if i.State == "" {
		i.State = cluster.Ready
	}
	return &Announcement{c: c, inst: i, wake: make(chan struct{}, 1)}
}

// Instance is what is announced.
func (a *Announcement) Instance() cluster.Instance {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.inst
}

// SetState changes the state in the registry, as soon as etcd can be reached.
func (a *Announcement) SetState(s cluster.State) {
	a.mu.Lock()
	a.inst.State = s
	a.mu.Unlock()
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// Run announces the instance, calls ready, keeps it announced and withdraws it
// when ctx ends. A lost lease is replaced for as long as it takes, under the
// same epoch. The only failure after ready is a TakenOverError.
func (a *Announcement) Run(ctx context.Context, ready func()) error {
	if a.Instance().Epoch == 0 {
		i := a.Instance()
		epoch, err := a.c.Epoch(ctx, i.Kind, i.ID)
		if err != nil {
			return err
		}
		a.mu.Lock()
		a.inst.Epoch = epoch
		a.mu.Unlock()
	}
	pause := newPause()
	log := a.c.log.With("kind", string(a.inst.Kind), "instance", a.inst.ID)
	first := true
	for {
		err := a.hold(ctx, func() {
			pause.Reset()
			if first {
				first = false
				ready()
				return
			}
			log.Info("announced again")
		})
		var taken *TakenOverError
		if ctx.Err() != nil {
			return nil
		}
		if errors.As(err, &taken) {
			return err
		}
		log.Warn("not in the registry, trying again", "err", err)
		if !wait(ctx, pause.NextBackOff()) {
			return nil
		}
	}
}

// hold announces under one lease until that is lost.
func (a *Announcement) hold(ctx context.Context, held func()) error {
	lease := a.c.newLease()
	defer lease.Close()
	gctx, cancel := context.WithTimeout(ctx, a.c.cfg.RequestTimeout.Std())
	grant, err := lease.Grant(gctx, a.c.cfg.leaseSeconds())
	cancel()
	if err != nil {
		return err
	}
	defer func() {
		if ctx.Err() == nil {
			return // the key stays until its lease ends: we are coming back
		}
		rctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
		defer cancel()
		if err := a.leave(rctx, grant.ID); err != nil {
			a.c.log.Warn("could not leave the registry; the lease will end by itself", "err", err)
		}
	}()
	if err := a.put(ctx, grant.ID); err != nil {
		return err
	}
	kctx, stop := context.WithCancel(ctx)
	defer stop()
	alive, err := lease.KeepAlive(kctx, grant.ID)
	if err != nil {
		return err
	}
	a.c.metrics.registrations.Inc()
	a.awaitShown(ctx)
	held()
	return a.keep(ctx, grant.ID, alive)
}

// leave says in the key that the instance has left; the key itself ends with
// its lease. Deleting it would be the same as a crash to those who see the last
// state and the deletion at once.
func (a *Announcement) leave(ctx context.Context, id clientv3.LeaseID) error {
	gone := a.Instance()
	gone.State = left
	err := a.putAs(ctx, id, gone)
	var taken *TakenOverError
	if errors.As(err, &taken) {
		return nil // by the next life of this id
	}
	return err
}

// keep holds the key equal to the instance while the lease lives.
func (a *Announcement) keep(ctx context.Context, id clientv3.LeaseID, alive <-chan *clientv3.LeaseKeepAliveResponse) error {
	pause := newPause()
	retry := time.NewTimer(0)
	retry.Stop()
	defer retry.Stop()
	view := a.c.views.View()
	for {
		dirty := false
		select {
		case <-ctx.Done():
			return ctx.Err()
		case _, ok := <-alive:
			if !ok {
				return errors.New("the lease ended")
			}
			continue
		case <-a.wake:
			dirty = true
		case <-retry.C:
			dirty = true
		case <-a.c.Views().Changed(view):
			view = a.c.views.View()
			dirty = !a.shown(view)
		}
		if !dirty {
			continue
		}
		err := a.put(ctx, id)
		var taken *TakenOverError
		switch {
		case err == nil:
			pause.Reset()
		case errors.As(err, &taken):
			return err
		default:
			retry.Reset(pause.NextBackOff())
		}
	}
}

// tookOver warns of what a restart at the same address does not look like: a
// process that was in the registry elsewhere under this id. If it lives it ends
// with a TakenOverError as soon as it sees this.
func (a *Announcement) tookOver(before, now cluster.Instance) {
	if before.ID == "" || before.State == left || before.Epoch >= now.Epoch || before.RPC == now.RPC {
		return
	}
	a.c.log.Warn("this process takes the place of another one with its instance id; if both were meant to run, give one of them another cluster.id",
		"kind", string(now.Kind), "instance", now.ID, "other", before.RPC, "other_epoch", before.Epoch)
}

// awaitShown waits until this process's own view has the instance, so that who
// is told "ready" finds it; at most as long as one request may take.
func (a *Announcement) awaitShown(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, a.c.cfg.RequestTimeout.Std())
	defer cancel()
	for {
		view := a.c.views.View()
		if a.shown(view) {
			return
		}
		select {
		case <-a.c.Views().Changed(view):
		case <-ctx.Done():
			return
		}
	}
}

func (a *Announcement) shown(v *cluster.View) bool {
	want := a.Instance()
	got, ok := v.Get(want.Kind, want.ID)
	return ok && !got.Held && got.Epoch == want.Epoch && got.State == want.State
}

// put makes the key hold the instance under the lease, unless one of a higher
// epoch is there.
func (a *Announcement) put(ctx context.Context, id clientv3.LeaseID) error {
	return a.putAs(ctx, id, a.Instance())
}

func (a *Announcement) putAs(ctx context.Context, id clientv3.LeaseID, want cluster.Instance) error {
	ctx, cancel := context.WithTimeout(ctx, a.c.cfg.RequestTimeout.Std())
	defer cancel()
	value, err := json.Marshal(want)
	if err != nil {
		return err
	}
	key := instanceKey(want.Kind, want.ID)
	for range maxRaces {
		resp, err := a.c.etcd.Get(ctx, key)
		if err != nil {
			return err
		}
		seen := int64(0)
		var before cluster.Instance
		if len(resp.Kvs) > 0 {
			kv := resp.Kvs[0]
			seen = kv.ModRevision
			cur, err := parseInstance(kv)
			before = cur
			if err == nil && cur.Epoch > want.Epoch {
				return &TakenOverError{Kind: cur.Kind, ID: cur.ID, Epoch: cur.Epoch, RPC: cur.RPC}
			}
			if string(kv.Value) == string(value) && kv.Lease == int64(id) {
				return nil
			}
		}
		txn, err := a.c.etcd.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(key), "=", seen)).
			Then(clientv3.OpPut(key, string(value), clientv3.WithLease(id))).Commit()
		if err != nil {
			return err
		}
		if txn.Succeeded {
			a.tookOver(before, want)
			return nil
		}
	}
	return fmt.Errorf("%s changes all the time", key)
}
