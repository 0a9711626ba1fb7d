package register

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"longlink/pkg/api"
	"longlink/pkg/cluster"
	"longlink/pkg/code"
	"longlink/pkg/rpc"
	"longlink/pkg/slot"
)

// stuck is views whose watch says nothing: only Relist brings the next one.
type stuck struct {
	*cluster.Holder
	lists atomic.Int64
	next  atomic.Pointer[cluster.View]
	fail  atomic.Bool
}

func (s *stuck) Relist(context.Context) error {
	s.lists.Add(1)
	if s.fail.Load() {
		return errors.New("no etcd")
	}
	if v := s.next.Load(); v != nil {
		s.Set(v)
	}
	return nil
}

// locates asks the register's own door, as a caller whose view has a revision.
func (w *world) locates(revision uint64, device string) code.Code {
	w.t.Helper()
	cc, err := w.calls.Conn(w.me.RPC)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	do, err := rpc.Locate(ctx, cc)
	if err != nil {
		w.t.Fatal(err)
	}
	out, err := do(&api.BatchHeader{Number: 1, ViewRevision: revision}, []*api.LocateItem{{Device: device, Product: "p"}})
	if err != nil {
		w.t.Fatal(err)
	}
	return code.Code(out[0].GetResult().GetCode())
}

// asks is a room's question whether it is waited for.
func (w *world) asks(room string, revision uint64) *code.Error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_, err := w.reg.Refilled(ctx, &api.RefilledRequest{Room: room, RoomEpoch: 1, ViewRevision: revision, Register: self, RegisterEpoch: 5})
	return rpc.FromStatus(err)
}

// stuckWorld has a register whose watch hangs at a view in which another one
// owns everything, and a list that would show otherwise.
func stuckWorld(t *testing.T) (*world, *stuck, uint64) {
	s := &stuck{}
	w := newWorldOf(t, func(h *cluster.Holder) cluster.Views { s.Holder = h; return s }, nil, "a")
	w.view(false, w.inst("a", 1))
	newest := w.revision + 1
	s.next.Store(cluster.NewView(newest, []cluster.Instance{w.inst("a", 1), w.me}))
	return w, s, newest
}

// TestTheLowerSideLooksAgainBeforeItDenies: the caller's view is newer.
func TestTheLowerSideLooksAgainBeforeItDenies(t *testing.T) {
	w, s, newest := stuckWorld(t)
	if c := w.locates(w.revision, "d"); c != code.WrongOwner || s.lists.Load() != 0 {
		t.Errorf("a caller with the same view: %v, after %d lists", c, s.lists.Load())
	}
	if c := w.locates(newest, "d"); c != code.NotReady || s.lists.Load() != 1 {
		t.Errorf("a caller with a newer view: %v, after %d lists", c, s.lists.Load())
	}
	if c := w.locates(newest, "d"); c != code.NotReady || s.lists.Load() != 1 {
		t.Errorf("the next one: %v, after %d lists", c, s.lists.Load())
	}
	if n := metric(t, w.metrics, "longlink_register_catch_ups_total", "reached"); n != 1 {
		t.Errorf("%v catch-ups are counted", n)
	}
}

// TestWhenThereIsNothingNewerToSee the denial stands, and comes soon.
func TestWhenThereIsNothingNewerToSee(t *testing.T) {
	w, s, newest := stuckWorld(t)
	s.fail.Store(true)
	if c := w.locates(newest, "d"); c != code.WrongOwner {
		t.Errorf("without etcd: %v", c)
	}
	s.fail.Store(false)
	s.next.Store(nil)
	began := time.Now()
	if c := w.locates(newest+1000, "d"); c != code.WrongOwner {
		t.Errorf("a revision that nobody reaches: %v", c)
	}
	if d := time.Since(began); d > catchUpWait/2 {
		t.Errorf("that took %v", d)
	}
	if n := metric(t, w.metrics, "longlink_register_catch_ups_total", "behind"); n != 2 {
		t.Errorf("%v are counted", n)
	}
}

// TestRefilledUnderARevisionThatTheWatchDoesNotShow: a room that has listed shows
// the revision of etcd, which other keys have raised; a watch of the instances
// never gets there.
func TestRefilledUnderARevisionThatTheWatchDoesNotShow(t *testing.T) {
	w, s, newest := stuckWorld(t)
	if err := w.refilled("a", 1, newest); err != nil {
		t.Fatalf("the report: %v", err)
	}
	if s.lists.Load() != 1 {
		t.Errorf("%d lists", s.lists.Load())
	}
	if ready, _, _ := w.reg.slots.states(time.Now()); ready != slot.Count {
		t.Errorf("%d slots are ready", ready)
	}
}
