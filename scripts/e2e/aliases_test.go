package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// aliases: an alias comes from the token that a device logs in with, or from the
// API, and a push to it reaches the devices that are part of it at that moment.
func aliases(t *testing.T, s *Site) {
	product(t, s, "family")
	token := func(device, alias string) string {
		t.Helper()
		return strings.TrimSpace(s.must(t, "token", "--device", device, "--product", "family", "--alias", alias))
	}
	members := func(alias string, want ...string) {
		t.Helper()
		await(t, fmt.Sprintf("%s to be %q", alias, want), 10*time.Second, func() error {
			var got []string
			for _, m := range jsonLines(t, s.must(t, "alias", "ls", "--product", "family", "--json", alias)) {
				got = append(got, m["device"].(string))
			}
			if !slices.Equal(got, want) {
				return fmt.Errorf("it is %q", got)
			}
			return nil
		})
	}
	one := s.Device(t, "tab-1", "--product", "family", "--token", token("tab-1", "alice"))
	two := s.Device(t, "tab-2", "--product", "family", "--token", token("tab-2", "alice"))
	one.Start()
	two.Start()
	one.AwaitConnected()
	two.AwaitConnected()
	members("alice", "tab-1", "tab-2")
	out := s.must(t, "push", "--product", "family", "--alias", "alice", "--text", "for both", "--wait", "10s")
	if strings.Count(out, "\tacked\t") != 2 {
		t.Errorf("push to alice:\n%s", out)
	}
	for _, d := range []*Device{one, two} {
		if m := d.AwaitMessages(1); m[0].Text != "for both" {
			t.Errorf("received %+v", m)
		}
	}

	// Another user logs in on the second one.
	two.Stop()
	two = s.Device(t, "tab-2", "--product", "family", "--token", token("tab-2", "bob"))
	two.Start()
	two.AwaitConnected()
	members("alice", "tab-1")
	members("bob", "tab-2")
	out = s.must(t, "push", "--product", "family", "--alias", "alice", "--text", "for alice", "--wait", "10s")
	if strings.Count(out, "\n") != 1 || !strings.HasPrefix(out, "tab-1\tacked\t") {
		t.Errorf("push to alice after the switch:\n%s", out)
	}
	s.must(t, "push", "--product", "family", "--alias", "bob", "--text", "for bob", "--wait", "10s")
	// What is new on the second one: nothing of alice's came before bob's.
	if m := two.AwaitMessages(1); slices.ContainsFunc(m, func(l Line) bool { return l.Text == "for alice" }) {
		t.Errorf("bob's device received %+v", m)
	}

	// Through the API, also for a device that nobody has seen.
	if out := s.must(t, "alias", "add", "--product", "family", "alice", "tab-2", "tab-9"); out != "tab-2\tadded\ntab-9\tadded\n" {
		t.Errorf("alias add: %q", out)
	}
	if out := s.must(t, "alias", "add", "--product", "family", "alice", "tab-9"); out != "tab-9\tunchanged\n" {
		t.Errorf("alias add again: %q", out)
	}
	members("alice", "tab-1", "tab-2", "tab-9")
	out = s.must(t, "push", "--product", "family", "--alias", "alice", "--text", "for three")
	if strings.Count(out, "\n") != 3 || !strings.Contains(out, "tab-9\tstored\t") {
		t.Errorf("push to three:\n%s", out)
	}
	one.AwaitMessages(3)
	two.AwaitMessages(2)
	if out := s.must(t, "alias", "rm", "--product", "family", "alice", "tab-1", "tab-2", "tab-9"); strings.Count(out, "removed") != 3 {
		t.Errorf("alias rm: %q", out)
	}
	members("alice")
	if out, err := s.CLI("push", "--product", "family", "--alias", "alice", "--text", "x"); err == nil || !strings.Contains(err.Error(), "exit 1: longlink push: NOT_FOUND") || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("push to nobody: %q, %v", out, err)
	}
	one.Stop()
	two.Stop()
}
