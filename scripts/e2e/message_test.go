package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// recall: what was taken back before the device came does not come.
func recall(t *testing.T, s *Site) {
	product(t, s, "letters")
	send := func(text string) (id string) {
		t.Helper()
		fields := strings.Fields(s.must(t, "push", "--product", "letters", "--device", "box-1", "--text", text))
		return fields[3]
	}
	send("before")
	id := send("secret")
	send("after")
	for range 2 { // a repetition repeats the answer
		out := s.must(t, "recall", "--product", "letters", "--json", id)
		if got := jsonLines(t, out)[0]; got["recalled"] != 1.0 || got["targets"] != 1.0 {
			t.Errorf("recall: %s", out)
		}
	}
	box := s.Device(t, "box-1", "--product", "letters")
	box.Start()
	box.AwaitMessages(2)
	s.must(t, "push", "--product", "letters", "--device", "box-1", "--text", "last", "--wait", "10s")
	got := box.AwaitMessages(3)
	if len(got) != 3 || got[0].Text != "before" || got[1].Text != "after" || got[2].Text != "last" {
		t.Errorf("received %+v", got)
	}
	if got[2].ID == "" {
		t.Fatal("a message without an id")
	}
	// Too late: it has been consumed, and the ledger knows.
	await(t, "the ack to be in the ledger", 10*time.Second, func() error {
		if out := s.must(t, "trace", "--json", got[2].ID); jsonLines(t, out)[0]["state"] != "acked" {
			return fmt.Errorf("%s", out)
		}
		return nil
	})
	if out := s.must(t, "recall", got[2].ID, "--json"); jsonLines(t, out)[0]["recalled"] != 0.0 {
		t.Errorf("a consumed message was recalled: %s", out)
	}
	if _, err := s.CLI("recall", "nobody-knows"); err == nil || !strings.Contains(err.Error(), "exit 1: longlink recall: NOT_FOUND") {
		t.Errorf("recall of an unknown id: %v", err)
	}
	box.Stop()
}

// trace: the command shows the way of a message from the call to the ack, in
// order, and where one is that waits.
func trace(t *testing.T, s *Site) {
	product(t, s, "parcels")
	d := s.Device(t, "door-1", "--product", "parcels")
	d.Start()
	d.AwaitConnected()
	id := strings.Fields(s.must(t, "push", "--product", "parcels", "--device", "door-1", "--text", "hello", "--wait", "10s"))[3]
	// The ledger learns of the ack a little later.
	await(t, "the trace to end with the ack", 15*time.Second, func() error {
		var stages []string
		state := ""
		out := s.must(t, "trace", "--product", "parcels", "--json", id)
		last := ""
		for _, l := range jsonLines(t, out) {
			switch l["type"] {
			case "target":
				state, _ = l["state"].(string)
			case "event":
				stages = append(stages, l["stage"].(string))
				if at := l["time"].(string); at < last {
					return fmt.Errorf("out of order:\n%s", out)
				} else {
					last = at
				}
			case "silent":
				return fmt.Errorf("somebody was silent:\n%s", out)
			}
		}
		if state != "acked" || !inSequence(stages, "accepted", "stored", "located", "written", "acknowledged") || !slices.Contains(stages, "handed") {
			return fmt.Errorf("state %q, stages %q", state, stages)
		}
		return nil
	})
	out := s.must(t, "trace", id)
	for _, want := range []string{"STATE", "acked", "\nTIME", "acknowledged", "door-1"} {
		if !strings.Contains(out, want) {
			t.Errorf("trace has no %q:\n%s", want, out)
		}
	}
	d.Stop()

	id = strings.Fields(s.must(t, "push", "--product", "parcels", "--device", "door-1", "--text", "waits"))[3]
	out = s.must(t, "trace", "--json", id)
	if l := jsonLines(t, out); l[0]["state"] != "stored" || l[0]["device"] != "door-1" {
		t.Errorf("trace of a message that waits:\n%s", out)
	}
	if _, err := s.CLI("trace", "nobody-knows"); err == nil || !strings.Contains(err.Error(), "exit 1: longlink trace: NOT_FOUND") {
		t.Errorf("trace of an unknown id: %v", err)
	}
}

// inSequence says whether all are found, one behind the other.
func inSequence(list []string, want ...string) bool {
	for _, s := range list {
		if len(want) > 0 && s == want[0] {
			want = want[1:]
		}
	}
	return len(want) == 0
}
