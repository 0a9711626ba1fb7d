package center

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"longlink/pkg/code"
)

// TestAProductLeavesRoom: bodies that are announced and never sent take a
// product's part of the budget and not that of others.
func TestAProductLeavesRoom(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.MaxInFlightBytes = 4 << 20 })
	bytes := func() int64 { _, b := w.center.server.budget.used(); return b }
	var held []net.Conn
	for want := int64(1 << 20); want <= 3<<20; want += 1 << 20 {
		c, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, c)
		fmt.Fprintf(c, "POST /v1/push:batch HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n{", w.keys["demo"], 1<<20)
		w.await("the body to be admitted", func() bool { return bytes() == want })
	}
	one := `{"product":"%s","device":"d","text":"hi"}`
	e := w.call(w.keys["demo"], "POST", "/v1/push", fmt.Sprintf(one, "demo")).failed(t, code.RateLimited, "")
	if e.RetryAfterMS == 0 || !strings.Contains(e.Message, "keys of product demo") {
		t.Errorf("%+v", e)
	}
	w.push(fmt.Sprintf(one, "demo")) // the operator's key
	if a := w.call(w.keys["shop"], "POST", "/v1/push", fmt.Sprintf(one, "shop")); a.status != 200 {
		t.Errorf("another product: %d %s", a.status, a.body)
	}
	for _, c := range held {
		c.Close()
	}
	w.await("the budget to come back", func() bool { return bytes() == 0 })
	if n := len(w.center.server.budget.products); n != 0 {
		t.Errorf("%d products are remembered", n)
	}
}

func TestShareOfTheBudget(t *testing.T) {
	b := newBudget(Config{MaxInFlight: 20_000, MaxInFlightBytes: 1 << 20})
	if err := b.take("demo", 15_000, 0); err != nil {
		t.Fatal(err)
	}
	if err := b.take("demo", 1, 0); err == nil || err.Code != code.RateLimited {
		t.Errorf("a product has more than its share: %v", err)
	}
	for _, payer := range []string{"shop", ""} {
		if err := b.take(payer, 2500, 1); err != nil {
			t.Errorf("%q: %v", payer, err)
		}
	}
	if err := b.take("", 1, 0); err == nil || err.Code != code.RateLimited {
		t.Errorf("more than all of it: %v", err)
	}
	b.free("shop", 2500, 1)
	b.free("demo", 15_000, 0)
	if err := b.take("", 17_500, 1<<20-1); err != nil {
		t.Errorf("the operator has all of it: %v", err)
	}

	small := newBudget(Config{MaxInFlight: 1000, MaxInFlightBytes: 1 << 20})
	if err := small.take("demo", maxDevices, maxPayload); err != nil {
		t.Errorf("the largest push: %v", err)
	}
}
