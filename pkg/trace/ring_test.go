package trace

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"longlink/pkg/api"
	"longlink/pkg/code"
)

func at(s int) time.Time { return time.Unix(1_790_000_000+int64(s), 0) }

func TestFindById(t *testing.T) {
	r := New(64)
	r.Add(Event{At: at(2), Stage: Written, ID: "m", Product: "p", Device: "d2", Seq: 5})
	r.Add(Event{At: at(1), Stage: Stored, ID: "m", Product: "p", Device: "d1", Seq: 4})
	r.Add(Event{At: at(3), Stage: Stored, ID: "other", Product: "p", Device: "d1", Seq: 9})
	r.Add(Event{At: at(4), Stage: Stored, ID: "m", Product: "q", Device: "d1", Seq: 9, Code: code.InboxFull})
	got := r.Find("m", "p", nil, 10)
	if len(got) != 2 || got[0].Device != "d1" || got[1].Device != "d2" {
		t.Errorf("of product p: %+v", got)
	}
	if got := r.Find("m", "", nil, 10); len(got) != 3 || got[2].Code != code.InboxFull {
		t.Errorf("of any product: %+v", got)
	}
	if got := r.Find("m", "", nil, 1); len(got) != 1 || got[0].Device != "d1" {
		t.Errorf("bounded: %+v", got)
	}
	if got := r.Find("", "", nil, 10); len(got) != 0 {
		t.Errorf("without an id: %+v", got)
	}
}

func TestAcknowledgementsAreCumulative(t *testing.T) {
	r := New(64)
	for i, seq := range []uint64{3, 9, 12} {
		r.Add(Event{At: at(10 + i), Stage: Acknowledged, Product: "p", Device: "d", Seq: seq})
	}
	r.Add(Event{At: at(5), Stage: Acknowledged, Product: "p", Device: "other", Seq: 100})
	got := r.Find("m", "", []Target{{"p", "d", 4}}, 10)
	if len(got) != 1 || got[0].Seq != 9 || !got[0].At.Equal(at(11)) {
		t.Errorf("the ack that passed 4: %+v", got)
	}
	if got := r.Find("m", "", []Target{{"p", "d", 13}}, 10); len(got) != 0 {
		t.Errorf("nothing has passed 13: %+v", got)
	}
}

func TestTheOldestIsOverwritten(t *testing.T) {
	r := New(segments * 4)
	for i := range 10 {
		r.Add(Event{At: at(i), Stage: Stored, ID: fmt.Sprint("m", i), Device: "d"})
	}
	for i := range 10 {
		if got, want := len(r.Find(fmt.Sprint("m", i), "", nil, 10)), 0; i >= 6 && got != 1 || i < 6 && got != want {
			t.Errorf("m%d is found %d times", i, got)
		}
	}
}

func TestNothingIsRemembered(t *testing.T) {
	r := New(0)
	r.Add(Event{ID: "m"})
	if got := r.Find("m", "", nil, 10); got != nil {
		t.Error(got)
	}
}

func TestAddDoesNotAllocate(t *testing.T) {
	r := New(64)
	e := Event{Stage: Written, ID: "m", Product: "p", Device: "d", Seq: 1, Detail: "x"}
	for range 100 {
		r.Add(e)
	}
	if n := testing.AllocsPerRun(1000, func() { r.Add(e) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestManyWriters(t *testing.T) {
	r := New(1024)
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 500 {
				r.Add(Event{Stage: Stored, ID: "m", Device: fmt.Sprint(w, "-", i)})
				r.Find("m", "", nil, 5)
			}
		})
	}
	wg.Wait()
	if n := len(r.Find("m", "", nil, 1<<20)); n == 0 || n > 1024 {
		t.Errorf("%d events in a ring of 1024", n)
	}
}

func TestServer(t *testing.T) {
	r := New(64)
	r.Add(Event{At: at(1), Stage: Written, ID: "m", Product: "p", Device: "d", Seq: 4})
	r.Add(Event{At: at(2), Stage: Acknowledged, Product: "p", Device: "d", Seq: 4})
	s := &Server{Ring: r, Node: "room-1"}
	rep, err := s.Trace(context.Background(), &api.TraceRequest{Id: "m", Targets: []*api.TraceTarget{{Product: "p", Device: "d", Seq: 4}}})
	if err != nil || len(rep.Events) != 2 || rep.Events[1].Stage != "acknowledged" || rep.Events[0].Node != "room-1" {
		t.Errorf("%v, %v", rep, err)
	}
	if _, err := s.Trace(context.Background(), &api.TraceRequest{Id: "m", Targets: make([]*api.TraceTarget, maxTargets+1)}); err == nil {
		t.Error("too many targets are taken")
	}
}

func BenchmarkAdd(b *testing.B) {
	r := New(16384)
	b.ReportAllocs()
	for b.Loop() {
		r.Add(Event{Stage: Written, ID: "01KAF0000000000000000000", Product: "p", Device: "phone-1", Seq: 1})
	}
}
