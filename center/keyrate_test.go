package center

import (
	"fmt"
	"testing"
	"time"

	"longlink/pkg/api"
	"longlink/pkg/code"
	"longlink/pkg/rpc"
)

func TestKeyRates(t *testing.T) {
	k, now := newKeyRates(2), time.Now()
	demo, shop := principal{"demo", "a"}, principal{"shop", "b"}
	for i := range 3 {
		err := k.take(demo, now)
		if (err != nil) != (i == 2) {
			t.Fatalf("request %d: %v", i, err)
		}
		if err != nil && (err.Code != code.RateLimited || err.Retry != 500*time.Millisecond) {
			t.Errorf("%v after %s", err, err.Retry)
		}
	}
	if err := k.take(shop, now); err != nil {
		t.Errorf("another key: %v", err)
	}
	if err := k.take(demo, now.Add(500*time.Millisecond)); err != nil {
		t.Errorf("after the hint: %v", err)
	}
	for i := range maxFound {
		_ = k.take(principal{"p", fmt.Sprint(i)}, now)
	}
	if len(k.byKey) > maxFound {
		t.Errorf("%d keys are remembered", len(k.byKey))
	}
}

// TestRequestsOfAKeyAreBounded at both doors together.
func TestRequestsOfAKeyAreBounded(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.KeyRate = 1 })
	center := api.NewCenterClient(w.dial())
	w.call(w.keys["demo"], "GET", "/v1/devices/d", "").into(t, &deviceAnswer{})
	a := w.call(w.keys["demo"], "GET", "/v1/devices/d", "")
	if e := a.failed(t, code.RateLimited, ""); e.RetryAfterMS == 0 || e.RetryAfterMS > 1000 {
		t.Errorf("%s", a.body)
	}
	_, err := center.GetDevice(withKey(t.Context(), w.keys["demo"]), &api.GetDeviceRequest{Device: "d"})
	if e := rpc.FromStatus(err); e == nil || e.Code != code.RateLimited {
		t.Errorf("%v", err)
	}
	w.call(w.keys["shop"], "GET", "/v1/devices/d", "").into(t, &deviceAnswer{})
}
