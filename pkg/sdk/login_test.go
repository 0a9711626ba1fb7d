package sdk

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"longlink/pkg/code"
	"longlink/pkg/wire"
)

func TestLoginReportsConnectedAfterEveryBound(t *testing.T) {
	var at []Connected
	inBubble(t, func(w *world, c *Config) {
		c.Products = []Product{{Name: "p", Tags: []string{"beta"}}, {Name: "q", Grant: "g.g.g"}}
		c.Network = "wifi"
		c.Heartbeat = 60 * time.Second
		c.OnConnected = func(e Connected) { at = append(at, e) }
	}, func(t *testing.T, w *world) {
		r := w.accept()
		h := r.hello()
		if h.Device != "d1" || h.Token != "tok" || h.Network != "wifi" || h.HeartbeatMS != 60_000 || len(h.Bindings) != 2 ||
			h.Bindings[0].Tags[0] != "beta" || h.Bindings[1].Grant != "g.g.g" || h.Bindings[0].HasBase {
			t.Fatalf("HELLO %+v", h)
		}
		r.welcome(wire.Welcome{Session: 77, Room: "room-x"})
		r.bound("p", 0)
		synctest.Wait()
		if len(at) != 0 {
			t.Fatal("connected before the second BOUND")
		}
		r.bound("q", 5)
		synctest.Wait()
		if len(at) != 1 || at[0].Room != "room-x" || at[0].Session != 77 || at[0].Addr != "a:1" {
			t.Fatalf("connected: %+v", at)
		}
		r.close()
		h = w.accept().hello()
		if h.Epoch != 77 || h.Bindings[1].Cursor != 5 {
			t.Fatalf("second HELLO: epoch %d, cursor %d", h.Epoch, h.Bindings[1].Cursor)
		}
	})
}

func TestStopSaysByeAndRunReturnsNil(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		r := w.accept()
		r.login()
		synctest.Wait()
		if err := w.stop(); err != nil {
			t.Fatal(err)
		}
		if b := r.bye(); b.Code != code.OK {
			t.Fatalf("BYE %s", b.Code)
		}
		if got := w.log(); !slices.Equal(got, []string{"connected", "disconnected OK"}) {
			t.Fatalf("events %v", got)
		}
		if w.client.Run(t.Context()) == nil {
			t.Fatal("a second Run was taken")
		}
	})
}

func TestBoundWithRetryIsBoundAgain(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		r := w.accept()
		r.hello()
		r.welcome(wire.Welcome{})
		start := time.Now()
		r.send(wire.AppendBound(nil, &wire.Bound{Product: "p", Code: code.Unavailable, RetryMS: 4000}))
		b, err := wire.ParseBinding(r.expect(wire.TypeBind).body)
		if err != nil || b.Product != "p" {
			t.Fatalf("BIND %+v, %v", b, err)
		}
		if d := time.Since(start); d < 4*time.Second || d > 6*time.Second {
			t.Fatalf("bound again after %s", d)
		}
		if len(w.log()) != 0 {
			t.Fatal("connected before p is bound")
		}
		r.bound("p", 0)
		if got := w.log(); !slices.Equal(got, []string{"connected"}) {
			t.Fatalf("events %v", got)
		}
	})
}

func TestRefusedProductStillConnects(t *testing.T) {
	var bound []Bound
	inBubble(t, func(w *world, c *Config) { c.OnBound = func(b Bound) { bound = append(bound, b) } }, func(t *testing.T, w *world) {
		r := w.accept()
		r.hello()
		r.welcome(wire.Welcome{})
		r.send(wire.AppendBound(nil, &wire.Bound{Product: "p", Code: code.ProductNotGranted, Message: "no"}))
		if got := w.log(); !slices.Equal(got, []string{"connected"}) {
			t.Fatalf("events %v", got)
		}
		if len(bound) != 1 || bound[0].Code != code.ProductNotGranted || bound[0].Retry != 0 || bound[0].Message != "no" {
			t.Fatalf("OnBound: %+v", bound)
		}
	})
}

func TestTokenIsRefreshed(t *testing.T) {
	for _, c := range []code.Code{code.TokenExpired, code.TokenInvalid} {
		tokens := []string{"old", "new"}
		inBubble(t, func(w *world, cfg *Config) {
			cfg.Token = func(context.Context) (string, error) { tok := tokens[0]; tokens = tokens[1:]; return tok, nil }
		}, func(t *testing.T, w *world) {
			r := w.accept()
			if h := r.hello(); h.Token != "old" {
				t.Fatalf("token %q", h.Token)
			}
			r.sayBye(c, 0)
			if h := w.accept().hello(); h.Token != "new" {
				t.Fatalf("%s: token %q", c, h.Token)
			}
		})
	}
}

func TestSameTokenAgainEndsRun(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		r := w.accept()
		r.hello()
		r.sayBye(code.TokenInvalid, 0)
		assertRefused(t, <-w.result, code.TokenInvalid)
		w.result <- nil
	})
}

func TestEveryFreshTokenRefusedEndsRun(t *testing.T) {
	n := 0
	inBubble(t, func(w *world, cfg *Config) {
		cfg.Token = func(context.Context) (string, error) { n++; return string(rune('a' + n)), nil }
	}, func(t *testing.T, w *world) {
		for range maxRefusedTokens + 1 {
			r := w.accept()
			r.hello()
			r.sayBye(code.TokenExpired, 0)
		}
		assertRefused(t, <-w.result, code.TokenExpired)
		w.result <- nil
	})
}

func TestTokenErrorIsRetried(t *testing.T) {
	n := 0
	inBubble(t, func(w *world, cfg *Config) {
		cfg.Token = func(context.Context) (string, error) {
			if n++; n < 4 {
				return "", errors.New("backend away")
			}
			return "tok", nil
		}
	}, func(t *testing.T, w *world) { w.accept().login() })
	if n != 4 {
		t.Fatalf("Token was called %d times", n)
	}
}

func assertRefused(t testing.TB, err error, c code.Code) {
	t.Helper()
	var ce *code.Error
	if !errors.As(err, &ce) || ce.Code != c {
		t.Fatalf("Run = %v, want %s", err, c)
	}
}

func TestConfigErrorsNameTheField(t *testing.T) {
	good := func() Config {
		return Config{Device: "d", Token: func(context.Context) (string, error) { return "", nil },
			Handler: func(context.Context, Message) error { return nil }, Addresses: []string{"h:1"}}
	}
	for name, change := range map[string]func(*Config){
		"device":     func(c *Config) { c.Device = "a/b" },
		"token":      func(c *Config) { c.Token = nil },
		"handler":    func(c *Config) { c.Handler = nil },
		"nowhere":    func(c *Config) { c.Addresses = nil },
		"address":    func(c *Config) { c.Addresses = []string{"nohost"} },
		"dispatcher": func(c *Config) { c.Dispatcher = []string{"127.0.0.1:7100"} },
		"product":    func(c *Config) { c.Products = []Product{{Name: ""}} },
		"twice":      func(c *Config) { c.Products = []Product{{Name: "p"}, {Name: "p"}} },
		"tag":        func(c *Config) { c.Products = []Product{{Name: "p", Tags: []string{"a b"}}} },
	} {
		c := good()
		change(&c)
		if _, err := New(c); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := New(good()); err != nil {
		t.Error(err)
	}
}
