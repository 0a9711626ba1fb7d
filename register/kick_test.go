package register

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"longlink/pkg/api"
	"longlink/pkg/code"
	"longlink/pkg/config"
	"longlink/pkg/slot"
)

func TestKickReachesEveryRoom(t *testing.T) {
	w := ready(t, nil, "a", "b")
	w.put(sess{"a", 1, 5}.of("d1", "p"))
	w.put(sess{"b", 1, 5}.of("d2", "p"))
	w.put(sess{"b", 1, 5}.of("d4", "p"))
	w.rooms["b"].offline["d4"] = true
	req := &api.KickRequest{Devices: []string{"d1", "d2", "d3", "d4"}, Product: "p", Code: uint32(code.Unbound), Message: "m", RetryMs: 9}
	rep, err := w.reg.Kick(context.Background(), req)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []code.Code{code.OK, code.OK, code.Offline, code.Offline} {
		if got := code.Code(rep.Results[i].GetResult().GetCode()); got != want {
			t.Errorf("%s: %v, want %v", req.Devices[i], got, want)
		}
	}
	for id, devices := range map[string][]string{"a": {"d1"}, "b": {"d2", "d4"}} {
		want := &api.KickRequest{Devices: devices, Product: "p", Code: uint32(code.Unbound), Message: "m", RetryMs: 9}
		if got := w.rooms[id].kicked; len(got) != 1 || !proto.Equal(got[0], want) {
			t.Errorf("room %s was told %v", id, got)
		}
	}
}

func TestKickWithoutAnAnswer(t *testing.T) {
	w := ready(t, nil, "a", "b")
	w.put(sess{"a", 1, 5}.of("d1", "p"))
	w.put(sess{"b", 1, 5}.of("d2", "p"))
	w.rooms["a"].fail = errors.New("no")
	rep, err := w.reg.Kick(context.Background(), &api.KickRequest{Devices: []string{"d1", "d2"}})
	if err != nil {
		t.Fatal(err)
	}
	if c := code.Code(rep.Results[0].GetResult().GetCode()); c != code.Internal {
		t.Errorf("the failing room's device: %v", c)
	}
	if rep.Results[1].GetResult() != nil {
		t.Errorf("its neighbour: %v", rep.Results[1])
	}
	if _, err := w.reg.Kick(context.Background(), &api.KickRequest{Devices: make([]string, maxKick+1)}); err == nil {
		t.Error("too many devices were taken")
	}
}

func TestDescribe(t *testing.T) {
	w := ready(t, nil, "a")
	want := sess{"a", 1, 5}.of("d", "p", "q")
	w.put(want)
	rep, err := w.reg.Describe(context.Background(), &api.DescribeRequest{Devices: []string{"x", "d"}})
	if err != nil || len(rep.Results) != 2 {
		t.Fatal(rep, err)
	}
	if c := code.Code(rep.Results[0].GetResult().GetCode()); c != code.Offline {
		t.Errorf("an unknown device: %v", c)
	}
	if !proto.Equal(rep.Results[1].Session, want) {
		t.Errorf("described as %v", rep.Results[1].Session)
	}
}

// TestEvictionsAreBounded: a room that does not answer costs a full queue, and
// never the register's callers.
func TestEvictionsAreBounded(t *testing.T) {
	w := ready(t, func(c *Config) { c.EvictQueue, c.CallTimeout = 10, config.Duration(time.Minute) }, "a", "b")
	w.rooms["a"].hold = make(chan struct{})
	count := func(result string) int { return int(metric(t, w.metrics, "longlink_register_evictions_total", result)) }
	const devices = 100
	for i := range devices {
		d := fmt.Sprint("d", i)
		w.put(sess{"a", 1, 5}.of(d, "p"))
		if r := w.put(sess{"b", 1, 6}.of(d, "p")); r.WinnerRoom != "b" {
			t.Fatalf("winner %v", r)
		}
	}
	dropped := count("dropped")
	if dropped == 0 {
		t.Error("nothing was dropped while the room did not answer")
	}
	close(w.rooms["a"].hold)
	w.await("the evictions that were queued", func() bool { return len(w.rooms["a"].evictions()) == devices-dropped })
	w.await("their count", func() bool { return count("told") == devices-dropped })
}

func TestARoomThatRefusesAnEvictionIsCounted(t *testing.T) {
	w := ready(t, nil, "a", "b")
	w.rooms["a"].fail = errors.New("no")
	w.put(sess{"a", 1, 5}.of("d", "p"))
	w.put(sess{"b", 1, 6}.of("d", "p"))
	w.await("the failure", func() bool { return metric(t, w.metrics, "longlink_register_evictions_total", "failed") == 1 })
}

// A room that died fills no log, however many of its devices log in elsewhere.
func TestARoomIsComplainedAboutOnceAMinute(t *testing.T) {
	r, now := newRooms(), time.Now()
	said := func(k roomKey, at time.Duration) bool { return r.complain(k, now.Add(at)) }
	a, b := roomKey{"a", 1}, roomKey{"b", 1}
	if !said(a, 0) || said(a, 0) || said(a, untoldEvery-1) {
		t.Error("the first one is said, and nothing more for a minute")
	}
	if !said(b, time.Second) || !said(roomKey{"a", 2}, time.Second) {
		t.Error("another room, or another life of it, was not said")
	}
	if !said(a, untoldEvery) || said(a, untoldEvery+1) {
		t.Error("after a minute it is said once more")
	}
	if said(a, 2*untoldEvery-1); len(r.untold) != 1 {
		t.Errorf("%d rooms are remembered, want the one that still fails", len(r.untold))
	}
}

func TestMetrics(t *testing.T) {
	w := ready(t, nil, "a")
	w.put(sess{"a", 1, 5}.of("d", "p"))
	if n := metric(t, w.metrics, "longlink_register_sessions"); n != 1 {
		t.Errorf("%v sessions", n)
	}
	for state, want := range map[string]float64{"ready": slot.Count, "warming": 0, "late": 0} {
		if n := metric(t, w.metrics, "longlink_register_slots", state); n != want {
			t.Errorf("%v slots are %s, want %v", n, state, want)
		}
	}
	if f := w.reg.Figures(); f["sessions"] != 1 || f["slots"] != 4096 || f["slots_unready"] != 0 {
		t.Errorf("figures %v", f)
	}
}
