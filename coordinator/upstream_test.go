package coordinator

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"

	"longlink/pkg/api"
	"longlink/pkg/cluster"
	"longlink/pkg/code"
	"longlink/pkg/config"
	"longlink/pkg/rpc"
	"longlink/pkg/slot"
	"longlink/pkg/wire"
)

// fakeSaver keeps what it is given.
type fakeSaver struct {
	api.UnimplementedSaverServer
	mu   sync.Mutex
	fail *code.Error   // answered while set
	gate chan struct{} // while set, batches wait for it or for their stream's end
	got  []*api.UpItem
}

func (f *fakeSaver) set(change func(f *fakeSaver)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

func (f *fakeSaver) count() (n int) {
	f.set(func(f *fakeSaver) { n = len(f.got) })
	return n
}

func (f *fakeSaver) Upstream(s grpc.BidiStreamingServer[api.UpstreamBatch, api.UpstreamReply]) error {
	return rpc.ServeBatches(s, func(n uint64, res []*api.UpResult) *api.UpstreamReply {
		return &api.UpstreamReply{Number: n, Results: res}
	}, func(ctx context.Context, _ *api.BatchHeader, items []*api.UpItem) (out []*api.UpResult) {
		var gate chan struct{}
		f.set(func(f *fakeSaver) { f.got = append(f.got, items...); gate = f.gate })
		if gate != nil {
			select {
			case <-gate:
			case <-ctx.Done():
			}
		}
		f.set(func(f *fakeSaver) {
			for i := range items {
				res := &api.UpResult{Seq: uint64(len(f.got) - len(items) + i + 1)}
				if f.fail != nil {
					res = &api.UpResult{Result: rpc.ResultOf(f.fail)}
				}
				out = append(out, res)
			}
		})
		return out
	})
}

// products is a directory of these names.
type products []string

func (p products) Product(name string) (*cluster.Product, bool) {
	return &cluster.Product{Name: name}, slices.Contains(p, name)
}
func (p products) Products() []*cluster.Product { return nil }
func (p products) Secrets() *cluster.Secrets    { return nil }
func (p products) Changed() <-chan struct{}     { return nil }

func item(device string, id uint64) *api.UpItem {
	return &api.UpItem{Meta: &api.Meta{RequestId: "r", RemainingMs: 5000}, Device: device, Product: "demo", Kind: "read", UpId: id, Payload: []byte("x")}
}

// up opens a stream of batches.
func (w *world) up(t *testing.T) func(items ...*api.UpItem) []*api.UpResult {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	s, err := w.client.Up(ctx)
	if err != nil {
		t.Fatal(err)
	}
	number := uint64(0)
	return func(items ...*api.UpItem) []*api.UpResult {
		t.Helper()
		number++
		if err := s.Send(&api.UpstreamBatch{Header: &api.BatchHeader{Number: number}, Items: items}); err != nil {
			t.Fatal(err)
		}
		rep, err := s.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if rep.Number != number || len(rep.Results) != len(items) {
			t.Fatalf("out of step: %v", rep)
		}
		return rep.Results
	}
}

func codes(results []*api.UpResult) (all []code.Code) {
	for _, r := range results {
		all = append(all, code.Code(r.GetResult().GetCode()))
	}
	return all
}

func TestUpGoesToTheSaverOfItsPartition(t *testing.T) {
	w := newWorld(t, "r1")
	up := w.up(t)
	var items []*api.UpItem
	for i := range 60 {
		items = append(items, item(fmt.Sprint("d", i), uint64(i+1)))
	}
	if got := codes(up(items...)); slices.ContainsFunc(got, func(c code.Code) bool { return c != code.OK }) {
		t.Errorf("%v", got)
	}
	n, parts := 0, map[uint16]string{}
	for id, f := range w.savers {
		last := map[uint16]uint64{}
		for _, it := range f.got {
			n++
			s := slot.Of(it.Device)
			owner, _ := w.views.View().Owner(cluster.Saver, slot.Tag(s)*slot.PerTag)
			if owner.ID != id || parts[slot.Tag(s)] != "" && parts[slot.Tag(s)] != id {
				t.Errorf("%s was given %s of part %d", id, it.Device, slot.Tag(s))
			}
			parts[slot.Tag(s)] = id
			if it.UpId < last[s] {
				t.Errorf("%s: out of order", it.Device)
			}
			last[s] = it.UpId
			if it.Kind != "read" || it.Product != "demo" || string(it.Payload) != "x" || it.Meta.RequestId != "r" || it.Meta.RemainingMs == 0 || it.Meta.RemainingMs > 4000 {
				t.Errorf("passed on: %v", it)
			}
		}
	}
	if n != len(items) || len(w.savers["s1"].got) == 0 || len(w.savers["s2"].got) == 0 {
		t.Errorf("%d items were passed on", n)
	}
	if got := metric(t, w.metrics, "longlink_coordinator_upstream_total", "OK"); got != 60 {
		t.Errorf("%v are counted", got)
	}
	if got := up(); len(got) != 0 {
		t.Errorf("an empty batch: %v", got)
	}
}

func TestBadUpItems(t *testing.T) {
	w := newWorld(t, "r1")
	up := w.up(t)
	change := func(f func(it *api.UpItem)) *api.UpItem { it := item("d", 1); f(it); return it }
	cases := []struct {
		it    *api.UpItem
		want  code.Code
		field string
	}{
		{change(func(it *api.UpItem) { it.Product = "ghost" }), code.UnknownProduct, "product"},
		{change(func(it *api.UpItem) { it.Device = "no blank" }), code.InvalidArgument, "device"},
		{change(func(it *api.UpItem) { it.Device = "" }), code.InvalidArgument, "device"},
		{change(func(it *api.UpItem) { it.Kind = string(make([]byte, 65)) }), code.InvalidArgument, "kind"},
		{change(func(it *api.UpItem) { it.UpId = 0 }), code.InvalidArgument, "up_id"},
		{change(func(it *api.UpItem) { it.UpId = 1 << 63 }), code.InvalidArgument, "up_id"},
		{change(func(it *api.UpItem) { it.Payload = make([]byte, wire.MaxUpPayload+1) }), code.PayloadTooLarge, "payload"},
		{change(func(it *api.UpItem) { it.Ext = make([]byte, wire.MaxUpExt+1) }), code.PayloadTooLarge, "ext"},
		{&api.UpItem{}, code.InvalidArgument, "device"},
		{change(func(it *api.UpItem) { it.Meta = nil }), code.OK, ""},
		{item("d", 2), code.OK, ""},
	}
	var items []*api.UpItem
	for _, c := range cases {
		items = append(items, c.it)
	}
	for i, res := range up(items...) {
		if got := code.Code(res.GetResult().GetCode()); got != cases[i].want || res.GetResult().GetField() != cases[i].field {
			t.Errorf("case %d: %v, want %s %s", i, res, cases[i].want, cases[i].field)
		}
	}
	if n := w.savers["s1"].count() + w.savers["s2"].count(); n != 2 {
		t.Errorf("%d were passed on", n)
	}
	if n := w.coord.held.bytes(); n != 0 {
		t.Errorf("%v bytes are held", n)
	}
}

// TestOneSaverHangs: the others' items are stored, the batch is answered in
// time, and what comes late goes nowhere.
func TestOneSaverHangs(t *testing.T) {
	w := newWorld(t, "r1")
	w.coord.cfg.CallTimeout = config.Duration(200 * time.Millisecond)
	up := w.up(t)
	gate := make(chan struct{})
	w.savers["s1"].set(func(f *fakeSaver) { f.gate = gate })
	w.savers["s2"].set(func(f *fakeSaver) { f.fail = code.Errorf(code.RateLimited, "full").WithRetry(3 * time.Second) })
	var items []*api.UpItem
	for i := range 40 {
		items = append(items, item(fmt.Sprint("d", i), 1))
	}
	began := time.Now()
	results := up(items...)
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("took %v", took)
	}
	n := map[code.Code]int{}
	for i, res := range results {
		want := code.RateLimited
		if owner, _ := w.views.View().Owner(cluster.Saver, partition(items[i].Device)); owner.ID == "s1" {
			want = code.Deadline
		} else if res.Result.RetryMs != 3000 {
			t.Errorf("the hint is lost: %v", res)
		}
		if got := code.Code(res.Result.GetCode()); got != want {
			t.Errorf("%s: %s, want %s", items[i].Device, got, want)
		}
		n[want]++
	}
	if n[code.RateLimited] == 0 || n[code.Deadline] == 0 {
		t.Fatalf("one saver had nothing to do: %v", n)
	}
	close(gate)
	for end := time.Now().Add(10 * time.Second); w.coord.held.bytes() > 0; <-time.After(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%v bytes are held", w.coord.held.bytes())
		}
	}
}

// TestItemsOwnTime: one that has little left does not shorten its neighbours'.
func TestItemsOwnTime(t *testing.T) {
	w := newWorld(t, "r1")
	up := w.up(t)
	late := item("d", 1)
	late.Meta.RemainingMs = 1
	if got := codes(up(late, item("d", 2))); got[1] != code.OK || got[0] != code.OK && got[0] != code.Deadline {
		t.Errorf("%v", got)
	}
}

func TestUpWithoutSavers(t *testing.T) {
	w := newWorld(t, "r1")
	if err := w.coord.Check(t.Context()); err != nil {
		t.Errorf("not ready: %v", err)
	}
	var left []cluster.Instance
	for _, i := range w.views.View().All() {
		if i.Kind != cluster.Saver {
			left = append(left, i)
		}
	}
	w.views.Set(cluster.NewView(2, left))
	if got := codes(w.up(t)(item("d", 1))); got[0] != code.Unavailable {
		t.Errorf("%v", got)
	}
	if w.coord.Check(t.Context()) == nil {
		t.Error("ready without a saver")
	}
}

// TestHeldBytes: one product's flood leaves room for the others, and all
// together are bounded.
func TestHeldBytes(t *testing.T) {
	h := newHeld(1000)
	for i, c := range []struct {
		product string
		size    int
		want    code.Code
	}{
		{"a", 400, code.OK}, {"a", 101, code.Hold}, {"a", 100, code.OK}, {"a", 1, code.Hold},
		{"b", 300, code.OK}, {"c", 201, code.RateLimited}, {"c", 200, code.OK}, {"b", 1, code.RateLimited},
	} {
		err := h.take(c.product, c.size)
		if err == nil && c.want != code.OK || err != nil && err.Code != c.want {
			t.Errorf("step %d: %v, want %s", i, err, c.want)
		}
	}
	for _, g := range []struct {
		product string
		size    int
	}{{"a", 400}, {"a", 100}, {"b", 300}, {"c", 200}} {
		h.give(g.product, g.size)
	}
	if h.total != 0 || len(h.products) != 0 {
		t.Errorf("%d bytes, %v", h.total, h.products)
	}
}

// TestFullIsToldToTheRoom, item by item, while a saver holds what it has.
func TestFullIsToldToTheRoom(t *testing.T) {
	w := newWorld(t, "r1")
	w.coord.held = newHeld(4 * sizeOf(item("d", 1)))
	gate := make(chan struct{})
	for _, f := range w.savers {
		f.set(func(f *fakeSaver) { f.gate = gate })
	}
	done := make(chan []code.Code, 2)
	first, second, third := w.up(t), w.up(t), w.up(t)
	go func() { done <- codes(first(item("d", 5), item("d", 6))) }()
	for end := time.Now().Add(10 * time.Second); w.savers["s1"].count()+w.savers["s2"].count() == 0; <-time.After(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("nothing was passed on")
		}
	}
	other := item("f", 8)
	other.Product = "news"
	go func() { done <- codes(third(other)) }()
	if got := codes(second(item("e", 7))); got[0] != code.Hold {
		t.Errorf("%v, want HOLD", got)
	}
	close(gate)
	for range 2 {
		if got := <-done; slices.ContainsFunc(got, func(c code.Code) bool { return c != code.OK }) {
			t.Errorf("%v", got)
		}
	}
	if got := metric(t, w.metrics, "longlink_coordinator_upstream_total", "HOLD"); got < 1 {
		t.Errorf("%v are counted as HOLD", got)
	}
}
