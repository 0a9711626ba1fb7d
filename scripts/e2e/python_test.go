package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// TestPythonDevice keeps docs/protocol.md true: the device in scripts/device.py
// was written from it.
func TestPythonDevice(t *testing.T) {
	topologies(t, func(t *testing.T, g *Gateway) {
		g.Start()
		product(t, g, "py")
		token, err := g.CLI("token", "--device", "snake-1", "--product", "py")
		if err != nil {
			t.Fatal(err)
		}
		d := g.PythonDevice(t, "snake-1", strings.TrimSpace(token), "py")
		d.Start()
		d.AwaitConnected()
		for i := range 5 {
			if out, err := g.CLI("push", "--product", "py", "--device", "snake-1", "--text", fmt.Sprint("p", i), "--wait", "5s"); err != nil || !strings.Contains(out, "acked") {
				t.Fatalf("push: %q, %v", out, err)
			}
		}
		d.Kill()
		if _, err := g.CLI("push", "--product", "py", "--device", "snake-1", "--text", "p5"); err != nil {
			t.Fatal(err)
		}
		d.Start()
		d.AwaitMessages(1)
		pendingGone(t, g.API(), "snake-1")
		if m := d.Messages(); len(m) != 1 || m[0].Text != "p5" {
			t.Errorf("after kill -9 and a restart: %+v, want only p5", m)
		}

		// A gateway that dies is a connection that breaks: it comes back alone.
		g.Kill()
		g.Start()
		if out, err := g.CLI("push", "--product", "py", "--device", "snake-1", "--text", "p6", "--wait", "30s"); err != nil {
			t.Errorf("push after the gateway's restart: %q, %v", out, err)
		}
		if m := d.Messages(); len(m) != 2 || m[1].Text != "p6" {
			t.Errorf("after the gateway's restart: %+v", m)
		}
		d.Stop()
	})
}
