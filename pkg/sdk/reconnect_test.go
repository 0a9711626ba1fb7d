package sdk

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"longlink/pkg/code"
	"longlink/pkg/wire"
)

// How long the device stays away, and where it comes back, by the code that
// ended the connection. Rand is 0.5 throughout.
func TestReconnectByAction(t *testing.T) {
	for _, c := range []struct {
		code     code.Code
		retryMS  uint32
		min, max time.Duration
		addr     string
	}{
		{code.Reconnect, 0, 0, time.Second, "a:1"},
		{code.AckTimeout, 0, 0, time.Second, "a:1"},
		{code.Busy, 3000, 3 * time.Second, 4 * time.Second, "a:1"},
		{code.Busy, 0, 2 * time.Second, 3 * time.Second, "a:1"},
		{code.Replaced, 0, 10 * time.Second, 13 * time.Second, "a:1"},
		{code.Replaced, 60_000, time.Minute, 76 * time.Second, "a:1"},
		{code.Kicked, 0, 5 * time.Second, 7 * time.Second, "a:1"},
		{code.ServerFull, 0, 0, 2 * time.Second, "b:1"},
		{code.Draining, 0, 0, time.Second, "b:1"},
		{code.Shutdown, 0, 500 * time.Millisecond, time.Second, "b:1"},
		{code.Code(2999), 7000, 7 * time.Second, 9 * time.Second, "a:1"},
		{code.Code(3999), 0, 0, time.Second, "b:1"},
		{code.Code(9123), 0, time.Second, 2 * time.Second, "a:1"},
	} {
		inBubble(t, func(_ *world, cfg *Config) { cfg.Addresses = []string{"a:1", "b:1"} }, func(t *testing.T, w *world) {
			r := w.accept()
			r.login()
			synctest.Wait()
			start := time.Now()
			r.sayBye(c.code, c.retryMS)
			r = w.accept()
			if d := time.Since(start); d < c.min || d > c.max {
				t.Errorf("%s: came back after %s, want %s to %s", c.code, d, c.min, c.max)
			}
			if r.addr != c.addr {
				t.Errorf("%s: came back to %s, want %s", c.code, r.addr, c.addr)
			}
			if got := w.log(); !slices.Equal(got, []string{"connected", "disconnected " + c.code.String()}) {
				t.Errorf("%s: events %v", c.code, got)
			}
		})
	}
}

func TestNeverEndsRun(t *testing.T) {
	for _, c := range []code.Code{code.Banned, code.TokenWrongDevice, code.VersionUnsupported, code.Code(4999)} {
		inBubble(t, nil, func(t *testing.T, w *world) {
			r := w.accept()
			r.hello()
			r.sayBye(c, 0)
			assertRefused(t, <-w.result, c)
			w.result <- nil
		})
	}
}

func TestBackoffGrowsWhileNothingAnswers(t *testing.T) {
	inBubble(t, func(w *world, _ *Config) { w.refuse("a:1") }, func(t *testing.T, w *world) {
		w.pass(10 * time.Minute)
		n := len(w.dialed())
		if n < 10 || n > 40 {
			t.Fatalf("%d dials in ten minutes", n)
		}
		w.refuse()
		w.accept().login()
	})
}

func TestLastGoodAddressFirstThenTheGroup(t *testing.T) {
	store := NewMemoryStore()
	inBubble(t, func(w *world, c *Config) {
		c.Addresses, c.Store = []string{"a:1", "b:1", "c:1"}, store
		w.refuse("a:1")
	}, func(t *testing.T, w *world) {
		w.accept().login()
		synctest.Wait()
		w.refuse("b:1")
		w.client.mu.Lock()
		nc := w.client.session.nc
		w.client.mu.Unlock()
		nc.Close()
		if r := w.accept(); r.addr != "a:1" && r.addr != "c:1" {
			t.Fatalf("came back to %s", r.addr)
		}
		if got := w.dialed(); len(got) < 4 || got[0] != "a:1" || got[1] != "b:1" || got[2] != "b:1" {
			t.Fatalf("dialed %v", got)
		}
	})
	inBubble(t, func(_ *world, c *Config) { c.Addresses = []string{"a:1", "c:1"}; c.Store = store }, func(t *testing.T, w *world) {
		if r := w.accept(); r.addr != "b:1" {
			t.Fatalf("a new process began with %s, the last good one is b:1", r.addr)
		}
	})
}

func TestRedirectIsFollowed(t *testing.T) {
	var red []Redirect
	inBubble(t, func(_ *world, c *Config) { c.OnRedirect = func(r Redirect) { red = append(red, r) } }, func(t *testing.T, w *world) {
		r := w.accept()
		r.login()
		start := time.Now()
		r.send(wire.AppendRedirect(nil, &wire.Redirect{Addresses: []string{"bad", "x:1", "y:1"}, SpreadMS: 8000, Code: code.Draining}))
		r.push("p", 1) // still served
		r.ackUpTo(1)
		if b := r.bye(); b.Code != code.OK {
			t.Fatalf("BYE %s", b.Code)
		}
		if d := time.Since(start); d != 4*time.Second {
			t.Fatalf("left after %s, half of the spread is 4s", d)
		}
		r = w.accept()
		if h := r.login(); r.addr != "x:1" || h.Bindings[0].Cursor != 1 || time.Since(start) > 5*time.Second {
			t.Fatalf("%s with cursor %d after %s", r.addr, h.Bindings[0].Cursor, time.Since(start))
		}
		if len(red) != 1 || red[0].Code != code.Draining || red[0].Delay != 4*time.Second {
			t.Fatalf("OnRedirect %+v", red)
		}
	})
}
