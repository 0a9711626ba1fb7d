package center

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"longlink/pkg/code"
	"longlink/pkg/config"
)

func TestPushesInFlightAreBounded(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.MaxInFlight, c.MaxInFlightBytes = 1000, 1<<20 })
	hold := make(chan struct{})
	w.saver.set(func() { w.saver.hold = hold })
	devices := make([]string, 1000)
	for i := range devices {
		devices[i] = fmt.Sprintf("%q", fmt.Sprint("d", i))
	}
	first := make(chan pushAnswer, 1)
	go func() {
		first <- w.push(`{"product":"demo","devices":[` + strings.Join(devices, ",") + `],"text":"hi"}`)
	}()
	w.await("the push to be in flight", func() bool { n, _ := w.center.server.budget.used(); return n == 1000 })
	a := w.call(w.op, "POST", "/v1/push", `{"product":"demo","device":"d1","text":"hi"}`)
	if e := a.failed(t, code.RateLimited, ""); e.RetryAfterMS == 0 || a.header.Get("Retry-After") != "1" {
		t.Errorf("%s %v", a.body, a.header)
	}
	close(hold)
	w.saver.set(func() { w.saver.hold = nil })
	for _, r := range (<-first).Results {
		if r.State != stateStored {
			t.Fatalf("%+v", r)
		}
	}
	w.await("the budget to come back", func() bool { n, b := w.center.server.budget.used(); return n == 0 && b == 0 })
	w.push(`{"product":"demo","device":"d1","text":"hi"}`)
}

func TestBytesInFlightAreBounded(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.MaxInFlightBytes = 1 << 20 })
	hold := make(chan struct{})
	w.saver.set(func() { w.saver.hold = hold })
	large := `{"product":"demo","device":"d","text":"` + strings.Repeat("x", maxPayload) + `"}`
	const fit = 1 << 20 / maxPayload
	first := make(chan pushAnswer, fit)
	for range fit {
		go func() { first <- w.push(large) }()
	}
	w.await("the pushes to be in flight", func() bool { n, _ := w.center.server.budget.used(); return n == fit })
	if e := w.call(w.op, "POST", "/v1/push", `{"product":"demo","device":"d","text":"x"}`).failed(t, code.RateLimited, ""); e.RetryAfterMS == 0 {
		t.Errorf("%+v", e)
	}
	close(hold)
	for range fit {
		<-first
	}
	w.await("the budget to come back", func() bool { n, b := w.center.server.budget.used(); return n == 0 && b == 0 })
}

func TestLongHeaders(t *testing.T) {
	w := newWorld(t, nil)
	status := func(n int) int {
		t.Helper()
		req, _ := http.NewRequest("GET", w.url+"/v1/devices/d", nil)
		req.Header.Set("Authorization", "Bearer "+w.op)
		req.Header.Set("X-Long", strings.Repeat("x", n))
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode
	}
	if s := status(maxHeader - 1024); s != 200 {
		t.Errorf("headers that fit: %d", s)
	}
	if s := status(maxHeader + 8192); s != 431 { // http.Server reads 4 KiB more than it is told
		t.Errorf("long headers: %d", s)
	}
}

func TestPushGoesOnWhenTheCallerLeaves(t *testing.T) {
	w := newWorld(t, nil)
	w.reg.online("d1", 5, "demo")
	hold := make(chan struct{})
	w.saver.set(func() { w.saver.hold = hold })
	client := &http.Client{Timeout: 100 * time.Millisecond}
	req, _ := http.NewRequest("POST", w.url+"/v1/push", strings.NewReader(`{"product":"demo","device":"d1","text":"hi"}`))
	req.Header.Set("Authorization", "Bearer "+w.op)
	if _, err := client.Do(req); err == nil {
		t.Fatal("it was answered")
	}
	close(hold)
	w.await("the delivery", func() bool { return len(w.room.items()) == 1 })
	client.CloseIdleConnections()
}

func TestStopFinishesWhatHasBegun(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.SentWait = 0 })
	w.reg.online("d1", 5, "demo")
	hold := make(chan struct{})
	w.room.set(func() { w.room.hold = hold })
	w.push(`{"product":"demo","device":"d1","text":"hi"}`)
	stopped := make(chan struct{})
	go func() { w.stop(); close(stopped) }()
	w.await("the door to close", func() bool {
		c, err := http.Get(w.url)
		if err == nil {
			c.Body.Close()
		}
		return err != nil
	})
	close(hold)
	<-stopped
	if len(w.room.items()) != 1 {
		t.Error("the delivery was dropped")
	}
}

func TestLargestPushFits(t *testing.T) {
	w := newWorld(t, nil)
	devices := make([]string, maxDevices)
	for i := range devices {
		devices[i] = fmt.Sprintf(`"%064d"`, i)
	}
	payload := base64.StdEncoding.EncodeToString(make([]byte, maxPayload))
	out := w.push(`{"product":"demo","devices":[` + strings.Join(devices, ",") + `],"payload":"` + payload + `"}`)
	if len(out.Results) != maxDevices || out.Results[maxDevices-1].State != stateStored {
		t.Errorf("%d results", len(out.Results))
	}
	escaped := strings.Repeat(`\u0001`, maxPayload)
	w.push(`{"product":"demo","device":"d","text":"` + escaped + `"}`)
}

// TestPushGivesUpInTime: nobody can say where the device is.
func TestPushGivesUpInTime(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		c.SentWait, c.DeliverDeadline = config.Duration(5*time.Second), config.Duration(150*time.Millisecond)
	})
	w.reg.set(func() { w.reg.always = code.Errorf(code.NotReady, "warming") })
	if out := w.push(`{"product":"demo","device":"d1","text":"hi"}`); out.Results[0].State != stateStored {
		t.Errorf("%+v", out)
	}
	a := w.call(w.op, "POST", "/v1/push", `{"product":"demo","device":"d1","text":"hi","qos":0}`)
	if a.status != 503 && a.status != 504 {
		t.Errorf("qos 0: %d %s", a.status, a.body)
	}
	w.await("the budget to come back", func() bool { n, _ := w.center.server.budget.used(); return n == 0 })
	if n := metric(t, w.proms, "longlink_center_push_retries_total", "locate"); n < 2 {
		t.Errorf("%v retries are counted", n)
	}
	hold := make(chan struct{})
	defer close(hold)
	w.reg.set(func() { w.reg.always = nil })
	w.reg.online("d1", 5, "demo")
	w.room.set(func() { w.room.hold = hold })
	if out := w.push(`{"product":"demo","device":"d1","text":"hi"}`); out.Results[0].State != stateStored {
		t.Errorf("a room that does not answer: %+v", out)
	}
	w.call(w.op, "POST", "/v1/push", `{"product":"demo","device":"d1","text":"hi","qos":0}`).failed(t, code.Deadline, "")
}
