package saver

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"longlink/pkg/api"
	"longlink/pkg/code"
	"longlink/pkg/config"
	"longlink/pkg/rpc"
)

// held is a saver whose upstream commits wait until open is called.
type held struct {
	*running
	entered chan struct{} // one for each commit that came
	open    func()
}

func hold(s *running) *held {
	gate := make(chan struct{})
	h := &held{s, make(chan struct{}, 1000), sync.OnceFunc(func() { close(gate) })}
	s.upstream.before = func() error {
		h.entered <- struct{}{}
		<-gate
		return nil
	}
	s.t.Cleanup(h.open) // before the saver is stopped
	return h
}

// send sends in the background.
func (h *held) send(items ...*api.UpItem) <-chan []*api.UpResult {
	out := make(chan []*api.UpResult, 1)
	go func() { out <- h.up(items...) }()
	return out
}

// A full queue refuses, a call's items of one device all or none, and what was
// refused is stored when it comes again.
func TestUpstreamQueueIsBounded(t *testing.T) {
	w := embeddedWorld(t)
	const limit = 64
	h := hold(w.start(func(c *Config) { c.Work.Queue = limit }))
	in := []<-chan []*api.UpResult{h.send(upItem("d", 1))}
	<-h.entered // in work, no longer queued
	for n := range limit {
		in = append(in, h.send(upItem(deviceIn(uint32(n), 0), 1)))
	}
	eventually(t, "the queue is full", func() bool { return h.upstream.queue.Len() == limit })
	refused := h.up(upItem("d", 2), upItem("d", 3), upItem("e", 1))
	for i, r := range refused {
		if codeOf(r) != code.RateLimited || r.Seq != 0 {
			t.Errorf("item %d: %v", i, r)
		}
	}
	h.open()
	for _, out := range in {
		if r := (<-out)[0]; codeOf(r) != code.OK || r.Duplicate {
			t.Errorf("queued: %v", r)
		}
	}
	for i, r := range h.mustUp(upItem("d", 2), upItem("d", 3), upItem("e", 1)) {
		if r.Duplicate {
			t.Errorf("item %d was refused and stored", i)
		}
	}
	if n := upCount(t, h.reg, "RATE_LIMITED"); n != 3 {
		t.Errorf("%v were counted as RATE_LIMITED", n)
	}
	if n := upCount(t, h.reg, "OK"); n != limit+4 {
		t.Errorf("%v were counted as OK", n)
	}
}

// So are the bytes that are queued or in work; one call is taken even when it
// alone is larger.
func TestUpstreamBytesAreBounded(t *testing.T) {
	w := embeddedWorld(t)
	h := hold(w.start())
	h.upstream.limit = 100_000
	large := func(id uint64) *api.UpItem {
		it := upItem("d", id)
		it.Payload = make([]byte, 60_000)
		return it
	}
	first := h.send(large(1), large(2))
	<-h.entered
	if r := h.up(upItem("e", 1))[0]; codeOf(r) != code.RateLimited {
		t.Errorf("got %v", r)
	}
	h.open()
	for _, r := range <-first {
		if codeOf(r) != code.OK {
			t.Errorf("a large call: %v", r)
		}
	}
	h.mustUp(upItem("e", 1))
	if n := h.upstream.bytes.Load(); n != 0 {
		t.Errorf("%d bytes are left", n)
	}
}

// upCount is longlink_saver_upstream_total of a result.
func upCount(t *testing.T, reg *prometheus.Registry, result string) float64 {
	t.Helper()
	all, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if f.GetName() != "longlink_saver_upstream_total" {
			continue
		}
		for _, m := range f.Metric {
			if m.Label[0].GetValue() == result {
				return m.Counter.GetValue()
			}
		}
	}
	return 0
}

// An item that waited too long is not stored, and neither is what came behind it
// of the same device and product: their order. It costs no other one of the
// partition anything.
func TestUpstreamTooLate(t *testing.T) {
	w := embeddedWorld(t)
	h := hold(w.start())
	first := h.send(upItem("d", 1))
	<-h.entered
	hasty, behind, other, neighbour := upItem("d", 2), upItem("d", 3), upItem("d", 4), upItem(deviceIn(partOf("d"), 0), 1)
	hasty.Meta.RemainingMs, other.Product, neighbour.Meta.RemainingMs = 1, "news", 60_000
	before := upItem(neighbour.Device, 2)
	before.Product = "news"
	late := h.send(before, hasty, behind, other, neighbour)
	alone := upItem("d", 2)
	alone.Meta.RemainingMs = 1
	all := h.send(alone)
	eventually(t, "it is queued", func() bool { return h.upstream.queue.Len() == 2 })
	waited := time.NewTimer(10 * time.Millisecond)
	<-waited.C
	h.open()
	if r := (<-first)[0]; codeOf(r) != code.OK {
		t.Errorf("the first: %v", r)
	}
	for i, r := range <-late {
		if want := []code.Code{code.OK, code.Deadline, code.Deadline, code.OK, code.OK}[i]; codeOf(r) != want || (want == code.OK) != (r.Seq > 0) {
			t.Errorf("item %d: %v, want %s", i, r, want)
		}
	}
	if r := (<-all)[0]; codeOf(r) != code.Deadline {
		t.Errorf("nothing but late: %v", r)
	}
	if rows := w.log(partOf("d")); len(rows) != 4 {
		t.Errorf("%d rows: %+v", len(rows), rows)
	}
	if n := h.upstream.bytes.Load(); n != 0 {
		t.Errorf("%d bytes are left", n)
	}
}

// No more pages at once than there are turns, and no more callers wait than
// there are places; who leaves gives his place back.
func TestUpstreamReadersAreBounded(t *testing.T) {
	w := embeddedWorld(t)
	w.cfg.Ledger.Timeout = config.Duration(time.Minute)
	s := w.start()
	c := api.NewSaverClient(s.dial())
	page := &api.ReadUpstreamRequest{Part: 1, Limit: 1}
	for range upReaders {
		if !s.upReads.enter(t.Context()) {
			t.Fatal("no turn")
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan error, upWaiters)
	for range upWaiters {
		go func() {
			_, err := c.ReadUpstream(ctx, page)
			left <- err
		}()
	}
	eventually(t, "all places are taken", func() bool { return len(s.upReads.line) == cap(s.upReads.line) })
	if _, err := c.ReadUpstream(t.Context(), page); rpc.FromStatus(err).Code != code.RateLimited {
		t.Errorf("got %v", err)
	}
	cancel()
	for range upWaiters {
		if err := <-left; err == nil {
			t.Error("a page was read without a turn")
		}
	}
	eventually(t, "the places are given back", func() bool { return len(s.upReads.line) == upReaders })
	s.upReads.leave()
	if _, err := c.ReadUpstream(t.Context(), page); err != nil {
		t.Error(err)
	}
}
