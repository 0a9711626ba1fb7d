package center

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"

	"longlink/pkg/api"
	"longlink/pkg/cluster"
	"longlink/pkg/code"
	"longlink/pkg/config"
	"longlink/pkg/trace"
)

// trace asks for a message's trace.
func (w *world) trace(key, id, query string) (out traceAnswer) {
	w.t.Helper()
	w.call(key, "GET", "/v1/messages/"+id+"/trace"+query, "").into(w.t, &out)
	return out
}

// steps are a trace's events in short.
func steps(out traceAnswer) (list []string) {
	for _, e := range out.Events {
		list = append(list, strings.TrimSpace(strings.Join([]string{e.Stage, e.Device, e.Code, e.Detail}, " ")))
	}
	return list
}

// own are the steps that center itself has noted of a push.
func (w *world) own(id string) (list []string) {
	for _, e := range w.rings["center-1"].Find(id, "", nil, 100) {
		list = append(list, strings.TrimSpace(fmt.Sprintf("%s %s %s", e.Stage, e.Code, e.Detail)))
	}
	return list
}

func TestTraceJoinsWhatAllRemember(t *testing.T) {
	w := newWorld(t, nil)
	w.reg.online("d1", 5, "demo")
	began := time.Now()
	out := w.push(`{"product":"demo","device":"d1","text":"hi"}`)
	seq := out.Results[0].Seq
	w.rings["saver-1"].Add(trace.Event{Stage: trace.Loaded, ID: out.ID, Product: "demo", Device: "d1", Seq: seq, At: began.Add(-time.Second)}) // its clock is behind
	w.rings["room-1"].Add(trace.Event{Stage: trace.Written, ID: out.ID, Product: "demo", Device: "d1", Seq: seq})
	w.rings["room-1"].Add(trace.Event{Stage: trace.Acknowledged, Product: "demo", Device: "d1", Seq: seq + 1})
	got := w.trace(w.op, out.ID, "")
	want := []string{"loaded d1", "accepted d1", "stored d1", "located d1  room-1", "handed d1  sent", "written d1", "acknowledged d1"}
	if !slices.Equal(steps(got), want) {
		t.Errorf("got %q\nwant %q", steps(got), want)
	}
	e := got.Events[1]
	at, err := time.Parse(time.RFC3339Nano, e.Time)
	if err != nil || at.Before(began.Truncate(time.Microsecond)) || time.Since(at) > time.Minute || len(e.Time) != len("2006-01-02T15:04:05.000000Z") || e.Node != "center-1" {
		t.Errorf("%+v", e)
	}
	if got.ID != out.ID || len(got.Targets) != 1 || got.Targets[0].Seq != seq || got.Silent == nil || len(got.Silent) != 0 {
		t.Errorf("%+v", got)
	}

	w.rings["room-1"].Add(trace.Event{Stage: trace.Acknowledged, Product: "demo", Device: "on", Seq: w.saver.found[0].Seq})
	got = w.trace(w.op, "m-1", "?product=demo")
	if len(got.Targets) != 1 || fmt.Sprintf("%+v", got.Targets[0]) != "{Product:demo Device:on Seq:1700000000000001 State:stored Accepted:2023-11-14T22:13:20.000Z Expires:2023-11-14T22:14:20.000Z}" {
		t.Errorf("%+v", got.Targets)
	}
	if !slices.Equal(steps(got), []string{"acknowledged on"}) {
		t.Errorf("%q", steps(got))
	}
}

// TestCentersOwnSteps: what it notes of each way that a push may take.
func TestCentersOwnSteps(t *testing.T) {
	away := func(c code.Code) []*code.Error { return []*code.Error{code.Errorf(c, "away")} }
	states := func(s ...api.DeliverResult_State) func(w *world) {
		return func(w *world) { w.room.states = s }
	}
	for name, c := range map[string]struct {
		set  func(w *world)
		qos  int
		want string
	}{
		"sent":              {states(), 1, "accepted OK, located OK room-1, handed OK sent"},
		"have":              {states(api.DeliverResult_STATE_HAVE), 1, "accepted OK, located OK room-1, handed OK have"},
		"duplicate":         {states(api.DeliverResult_STATE_DUPLICATE), 1, "accepted OK, located OK room-1, handed OK duplicate"},
		"gone":              {states(api.DeliverResult_STATE_GONE), 1, "accepted OK, located OK room-1, handed GONE gone"},
		"unbound":           {states(api.DeliverResult_STATE_UNBOUND), 1, "accepted OK, located OK room-1, handed NOT_BOUND unbound"},
		"qos 0":             {states(), 0, "accepted OK, located OK room-1, handed OK sent"},
		"qos 0, dropped":    {states(api.DeliverResult_STATE_DROPPED), 0, "accepted OK, located OK room-1, handed WINDOW_CLOSED dropped"},
		"offline":           {func(w *world) { delete(w.reg.sessions, "d1") }, 1, "accepted OK, located OFFLINE"},
		"warming":           {func(w *world) { w.reg.fail = away(code.NotReady) }, 1, "accepted OK, located NOT_READY, located OK room-1, handed OK sent"},
		"loop did not turn": {func(w *world) { w.room.fail = away(code.Unavailable) }, 1, "accepted OK, located OK room-1, handed UNAVAILABLE, located OK room-1, handed OK sent"},
		"not stored":        {func(w *world) { w.saver.fail = away(code.InboxFull) }, 1, "accepted OK"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(c *Config) { c.SentWait = config.Duration(5 * time.Second) })
			w.reg.online("d1", 5, "demo")
			c.set(w)
			// What is refused is answered without an id: so by dedup id where that can be.
			body, id := `{"product":"demo","device":"d1","text":"hi","dedup_id":"x"}`, messageID("demo", "x")
			if c.qos == 0 {
				body = `{"product":"demo","devices":["d1"],"text":"hi","qos":0}`
			}
			var out pushAnswer
			if a := w.call(w.op, "POST", "/v1/push", body); c.qos == 0 {
				a.into(t, &out)
				id = out.ID
			}
			w.await("the steps", func() bool { return len(w.own(id)) >= strings.Count(c.want, ",")+1 })
			got := strings.Join(w.own(id), ", ")
			if name == "gone" { // what register says next depends on whether it was told in time
				got = got[:min(len(got), len(c.want))]
			}
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestARoomThatTheViewLacksIsAStep(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		c.SentWait, c.DeliverDeadline = config.Duration(5*time.Second), config.Duration(100*time.Millisecond)
	})
	w.reg.online("d1", 5, "demo")
	w.reg.set(func() { w.reg.sessions["d1"].RoomEpoch = 6 })
	out := w.push(`{"product":"demo","device":"d1","text":"hi"}`)
	if got := w.own(out.ID); len(got) < 3 || got[2] != "handed NOT_READY the room is not in this center's view" {
		t.Errorf("%q", got)
	}
}

// TestStepsCostNoAllocation on the way of a push.
func TestStepsCostNoAllocation(t *testing.T) {
	f := &flight{s: &server{}, began: time.Now()}
	f.s.deps.Trace = trace.New(64)
	x := &target{push: &push{product: "demo", msg: &api.Message{Id: "m"}}, device: "d1", seq: 4}
	located, sent := &api.LocateResult{Room: "room-1"}, &api.DeliverResult{State: api.DeliverResult_STATE_SENT}
	all := func() { f.accepted(x); f.stepLocated(x, located, nil); f.stepHanded(x, sent, nil) }
	for range 100 { // the ring is full then
		all()
	}
	if n := testing.AllocsPerRun(1000, all); n != 0 {
		t.Errorf("%v allocations", n)
	}
	f.s.deps.Trace = nil // off
	all()
}

// TestTraceOfAProduct: nothing of another one, whoever remembers it.
func TestTraceOfAProduct(t *testing.T) {
	w := newWorld(t, nil)
	for _, product := range []string{"demo", "shop"} {
		w.rings["room-1"].Add(trace.Event{Stage: trace.Written, ID: "m-1", Product: product, Device: product + "-d"})
		w.rings["center-1"].Add(trace.Event{Stage: trace.Accepted, ID: "m-2", Product: product, Device: product + "-d"})
	}
	for key, want := range map[string]string{w.op: "demo shop", w.keys["demo"]: "demo", w.keys["shop"]: "shop"} {
		var targets, events []string
		got := w.trace(key, "m-1", "")
		for _, x := range got.Targets {
			targets = append(targets, x.Product)
		}
		for _, e := range append(got.Events, w.trace(key, "m-2", "").Events...) {
			events = append(events, e.Product)
		}
		slices.Sort(events)
		if strings.Join(targets, " ") != want || strings.Join(slices.Compact(events), " ") != want {
			t.Errorf("targets of %v, events of %v, want %s", targets, events, want)
		}
	}
	var f tracer
	f.req = &api.TraceRequest{Product: "demo"}
	f.add([]*api.TraceEvent{{Product: "shop"}, {Product: "demo"}, {}})
	if events, _ := f.result(); len(events) != 1 {
		t.Errorf("%v", events)
	}
}

// TestTraceNamesTheSilent: one that hangs, one that cannot be reached, and the
// saver that cannot read the ledger.
func TestTraceNamesTheSilent(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.CallTimeout = config.Duration(200 * time.Millisecond) })
	w.rings["saver-1"].Add(trace.Event{Stage: trace.Stored, ID: "m-1", Product: "demo", Device: "d1"})
	w.rings["center-1"].Add(trace.Event{Stage: trace.Accepted, ID: "m-9", Product: "demo", Device: "d1"})
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	hangs := w.serve(cluster.Room, "room-2", func(r grpc.ServiceRegistrar) { api.RegisterTraceServer(r, hanging{release: release}) })
	dead := cluster.Instance{Kind: cluster.Room, ID: "room-3", RPC: "room-3:0", Held: true}
	w.views.Set(cluster.NewView(2, append(w.views.View().All(), hangs, dead)))
	if got := w.trace(w.op, "m-1", ""); len(got.Events) != 1 || len(got.Targets) != 2 || strings.Join(got.Silent, " ") != "room-2 room-3" {
		t.Errorf("%+v", got)
	}
	w.call(w.op, "GET", "/v1/messages/m-0/trace", "").failed(t, code.NotFound, "id")
	w.saver.set(func() { w.saver.down = code.Errorf(code.Unavailable, "the ledger is away") })
	if got := w.trace(w.op, "m-9", ""); len(got.Events) != 1 || len(got.Targets) != 0 || strings.Join(got.Silent, " ") != "room-2 room-3 saver-1" {
		t.Errorf("without the ledger: %+v", got)
	}
	w.call(w.op, "GET", "/v1/messages/m-0/trace", "").failed(t, code.Unavailable, "")
	w.views.Set(cluster.NewView(3, nil))
	if got := w.trace(w.op, "m-9", ""); len(got.Events) != 1 || strings.Join(got.Silent, " ") != "saver" {
		t.Errorf("alone: %+v", got)
	}
}

type hanging struct {
	api.UnimplementedTraceServer
	release chan struct{}
}

func (h hanging) Trace(ctx context.Context, _ *api.TraceRequest) (*api.TraceReply, error) {
	select {
	case <-h.release:
	case <-ctx.Done():
	}
	return nil, code.Errorf(code.Deadline, "late")
}

// TestTraceAsksFewOfManyRooms: where the message was located, and where its
// devices are now.
func TestTraceAsksFewOfManyRooms(t *testing.T) {
	w := newWorld(t, nil)
	all := w.views.View().All()
	for i := range traceAll {
		all = append(all, cluster.Instance{Kind: cluster.Room, ID: fmt.Sprint("dead-", i), RPC: fmt.Sprintf("dead-%d:0", i)})
	}
	w.views.Set(cluster.NewView(2, all))
	w.rings["room-1"].Add(trace.Event{Stage: trace.Written, ID: "m-1", Product: "demo", Device: "on"})
	if got := w.trace(w.op, "m-1", ""); len(got.Events) != 0 || len(got.Silent) != 0 {
		t.Errorf("nobody knows a room: %+v", got)
	}
	w.reg.online("on", 5, "demo")
	if got := w.trace(w.op, "m-1", ""); len(got.Events) != 1 || len(got.Silent) != 0 {
		t.Errorf("the device is in room-1: %+v", got)
	}
	w.rings["saver-1"].Add(trace.Event{Stage: trace.Located, ID: "m-1", Product: "demo", Device: "on", Detail: "dead-7"})
	w.rings["saver-1"].Add(trace.Event{Stage: trace.Located, ID: "m-1", Product: "demo", Device: "on", Detail: "dead-8", Code: code.NotReady})
	if got := w.trace(w.op, "m-1", ""); len(got.Events) != 3 || strings.Join(got.Silent, " ") != "dead-7" {
		t.Errorf("it was located in dead-7: %+v", got)
	}
}

// TestTraceIsBounded: the oldest steps are told.
func TestTraceIsBounded(t *testing.T) {
	x := newTracer(&server{}, &api.TraceRequest{})
	for batch := range 10 {
		var events []*api.TraceEvent
		for i := range maxSteps {
			events = append(events, &api.TraceEvent{AtUs: int64(i*10 + 9 - batch)})
		}
		x.add(events)
		if len(x.events) > 2*maxSteps {
			t.Fatalf("%d events are held", len(x.events))
		}
	}
	events, _ := x.result()
	if len(events) != maxSteps {
		t.Fatalf("%d events", len(events))
	}
	for i, e := range events {
		if e.AtUs != int64(i) {
			t.Fatalf("event %d is of %d", i, e.AtUs)
		}
	}
}
