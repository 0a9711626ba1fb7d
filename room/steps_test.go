package room

import (
	"testing"

	"longlink/pkg/api"
	"longlink/pkg/code"
	"longlink/pkg/trace"
	"longlink/pkg/wire"
)

// TestSteps: what a room did with a message can be asked for.
func TestSteps(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.LaneWindow = 2 })
	steps := func(id string, seq uint64) (all []trace.Event) {
		return w.room.deps.Trace.Find(id, "demo", []trace.Target{{Product: "demo", Device: "dev", Seq: seq}}, 100)
	}
	put := func(id string) *api.LaneMessage {
		return w.saver.append("dev", "demo", &api.Message{Id: id, Payload: []byte("x")})
	}
	w.login("other", wire.Binding{Product: "demo"}) // everything runs
	waited := put("waited")
	if _, err := w.hand("dev", "demo", waited); err != nil {
		t.Fatal(err)
	}
	d := w.login("dev", wire.Binding{Product: "demo"})
	d.push()
	d.ack("demo", waited.Seq)
	d.ack("demo", waited.Seq) // says nothing new
	d.ping()
	direct, full, once := put("direct"), put("full"), &api.LaneMessage{Message: &api.Message{Id: "once"}}
	if _, err := w.hand("dev", "demo", direct); err != nil {
		t.Fatal(err)
	}
	if _, err := w.hand("dev", "demo", once); err != nil {
		t.Fatal(err)
	}
	d.push()
	d.push()
	if _, err := w.hand("dev", "demo", full); err != nil {
		t.Fatal(err)
	}
	d.push()
	late := put("late")
	if _, err := w.hand("dev", "demo", late); err != nil {
		t.Fatal(err)
	}
	// The sweep's delivery has no id, so nobody could ask for it.
	if _, err := w.hand("dev", "demo", &api.LaneMessage{Seq: late.Seq, Prev: late.Seq, Message: &api.Message{}}); err != nil {
		t.Fatal(err)
	}
	d.ack("demo", full.Seq)
	d.push()
	if _, err := w.hand("dev", "news", &api.LaneMessage{Seq: 1, Message: &api.Message{Id: "unbound"}}); err != nil {
		t.Fatal(err)
	}
	type step struct {
		stage  trace.Stage
		code   code.Code
		detail string
	}
	for _, c := range []struct {
		id   string
		seq  uint64
		want []step
	}{
		{"waited", waited.Seq, []step{{trace.Written, code.DropGone, ""}, {trace.Written, code.OK, "load"}, {trace.Acknowledged, code.OK, ""}}},
		{"direct", direct.Seq, []step{{trace.Written, code.OK, "direct"}, {trace.Acknowledged, code.OK, ""}}},
		{"once", 1 << 62, []step{{trace.Written, code.OK, "qos0"}}},
		{"full", full.Seq, []step{{trace.Written, code.OK, "direct"}, {trace.Acknowledged, code.OK, ""}}},
		{"late", late.Seq, []step{{trace.Written, code.DropWindow, ""}, {trace.Written, code.OK, "load"}}},
	} {
		var got []step
		for _, e := range steps(c.id, c.seq) {
			got = append(got, step{e.Stage, e.Code, e.Detail})
		}
		if len(got) != len(c.want) {
			t.Errorf("%s: %v, want %v", c.id, got, c.want)
			continue
		}
		for i := range got {
			if got[i] != c.want[i] {
				t.Errorf("%s: %v, want %v", c.id, got, c.want)
			}
		}
	}
	if all := w.room.deps.Trace.Find("unbound", "news", nil, 9); len(all) != 1 || all[0].Code != code.DropUnbound || all[0].Device != "dev" {
		t.Errorf("unbound: %v", all)
	}
	if all := w.room.deps.Trace.Find("", "demo", nil, 9); len(all) != 0 {
		t.Errorf("without an id: %v", all)
	}
}
