package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"longlink/pkg/client"
)

// TestJourney is the README's tour, and the promise behind it: what was
// accepted survives kill -9 of the whole gateway, comes once and in order, and
// what was consumed does not come back.
func TestJourney(t *testing.T) {
	topologies(t, func(t *testing.T, g *Gateway) {
		t.Logf("ready after %s", g.Start())
		product(t, g, "tour")
		phone := g.GoDevice(t, "phone-1", "--product", "tour")
		phone.Start()
		phone.AwaitConnected()

		out, err := g.CLI("push", "--product", "tour", "--device", "phone-1", "--text", "hello", "--wait", "5s")
		if err != nil || !strings.Contains(out, "acked") {
			t.Fatalf("push --wait: %q, %v", out, err)
		}
		if m := phone.AwaitMessages(1); m[0].Text != "hello" {
			t.Fatalf("received %+v", m)
		}
		if out, err := g.CLI("status", "phone-1"); err != nil || !strings.Contains(out, "online") {
			t.Fatalf("status: %q, %v", out, err)
		}
		phone.Stop()
		for i := range 20 {
			out, err := g.CLI("push", "--product", "tour", "--device", "phone-1", "--text", fmt.Sprint("message ", i))
			if err != nil || !strings.Contains(out, "stored") {
				t.Fatalf("push to an offline device: %q, %v", out, err)
			}
		}

		g.Kill()
		t.Logf("ready again after %s", g.Start())
		phone.Start()
		checkTwenty(t, phone.AwaitMessages(20))
		pendingGone(t, g.API(), "phone-1")
		checkTwenty(t, phone.Messages())

		phone.Stop()
		phone.Start()
		phone.AwaitConnected()
		out, err = g.CLI("push", "--product", "tour", "--device", "phone-1", "--text", "last", "--wait", "5s")
		if err != nil {
			t.Fatalf("push after the restart: %q, %v", out, err)
		}
		if m := phone.AwaitMessages(1); len(m) != 1 || m[0].Text != "last" {
			t.Errorf("after a restart of the device: %+v, want only the last message", m)
		}
		if out, err := g.CLI("kick", "phone-1"); err != nil || !strings.Contains(out, "kicked") {
			t.Errorf("kick: %q, %v", out, err)
		}
		await(t, "the kick", 10*time.Second, func() error {
			for _, l := range phone.Lines() {
				if l.Type == "disconnected" && l.Code == "KICKED" {
					return nil
				}
			}
			return fmt.Errorf("%+v", phone.Lines())
		})
		phone.Stop()
		if took := g.Stop(); took > 4*time.Second {
			t.Errorf("SIGTERM took %s", took)
		} else {
			t.Logf("slowest process ended %s after SIGTERM", took)
		}
	})
}

func checkTwenty(t *testing.T, got []Line) {
	t.Helper()
	if len(got) != 20 {
		t.Fatalf("%d messages came, want 20: %+v", len(got), got)
	}
	for i, m := range got {
		if want := fmt.Sprint("message ", i); m.Text != want {
			t.Errorf("place %d: %q, want %q", i, m.Text, want)
		}
	}
}

// pendingGone waits until nothing waits for the device any more.
func pendingGone(t *testing.T, api *client.Client, devices ...string) {
	t.Helper()
	for len(devices) > 0 {
		n := min(100, len(devices))
		await(t, "every message to be acknowledged", 30*time.Second, func() error {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			list, err := api.Devices(ctx, devices[:n]...)
			if err != nil {
				return err
			}
			for _, d := range list {
				for _, b := range d.Bindings {
					if b.Pending > 0 {
						return fmt.Errorf("%d messages of %s wait for %s (%s)", b.Pending, b.Product, d.Device, d.State)
					}
				}
			}
			return nil
		})
		devices = devices[n:]
	}
}

// product makes a product through the CLI and returns its API key.
func product(t *testing.T, g interface {
	CLI(args ...string) (string, error)
}, name string) string {
	t.Helper()
	out, err := g.CLI("product", "create", name)
	if err != nil {
		t.Fatalf("product create %s: %v", name, err)
	}
	for _, line := range strings.Split(out, "\n") {
		if key, ok := strings.CutPrefix(line, "api_key\t"); ok {
			return key
		}
	}
	t.Fatalf("product create %s printed no api_key:\n%s", name, out)
	return ""
}
