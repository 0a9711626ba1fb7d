package center

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"longlink/pkg/api"
	"longlink/pkg/cluster"
	"longlink/pkg/code"
	"longlink/pkg/config"
	"longlink/pkg/slot"
)

func TestAlias(t *testing.T) {
	w := newWorld(t, nil)
	set := func(method, alias, device string) bool {
		t.Helper()
		var out aliasChange
		w.call(w.keys["demo"], method, "/v1/aliases/"+alias+"/devices/"+device, "").into(t, &out)
		return out.Changed
	}
	for _, d := range []string{"c", "a", "b"} {
		if !set("PUT", "ann", d) {
			t.Errorf("%s was there", d)
		}
	}
	if set("PUT", "ann", "b") || set("DELETE", "ann", "x") || set("DELETE", "bob", "a") {
		t.Error("what was so before is told as a change")
	}
	devices := func(key, alias, product string) (out []string) {
		t.Helper()
		for path := "/v1/aliases/" + alias + "?limit=2&product=" + product; ; {
			var page aliasAnswer
			w.call(key, "GET", path, "").into(t, &page)
			if page.Product != "demo" && page.Product != "shop" || page.Alias != alias || page.Devices == nil || len(page.Devices) > 2 {
				t.Errorf("%+v", page)
			}
			for _, d := range page.Devices {
				if out = append(out, d.Device); d.Created != "2023-11-14T22:13:20.000Z" {
					t.Errorf("%+v", d)
				}
			}
			if page.NextCursor == "" {
				return out
			}
			path = "/v1/aliases/" + alias + "?limit=2&product=" + product + "&cursor=" + page.NextCursor
		}
	}
	for _, key := range []string{w.op, w.keys["demo"]} {
		if got := devices(key, "ann", "demo"); !slices.Equal(got, []string{"a", "b", "c"}) {
			t.Errorf("ann's devices are %v", got)
		}
	}
	if got := append(devices(w.op, "ann", "shop"), devices(w.op, "bob", "demo")...); len(got) != 0 {
		t.Errorf("shop's ann and nobody's bob have %v", got)
	}
	if !set("DELETE", "ann", "b") || set("DELETE", "ann", "b") {
		t.Error("a device is not taken out once")
	}
	if got := devices(w.keys["demo"], "ann", ""); !slices.Equal(got, []string{"a", "c"}) {
		t.Errorf("ann's devices are %v", got)
	}
}

func TestPushToAnAlias(t *testing.T) {
	w := newWorld(t, nil)
	w.reg.online("on", 5, "demo")
	w.saver.set(func() { w.saver.alias("demo/ann", "on", "off"); w.saver.alias("shop/bob", "other") })
	if got := states([]batchResult{{Results: w.push(`{"product":"demo","alias":"ann","text":"hi"}`).Results}}); got[0] != "off:stored on:sent" {
		t.Errorf("%q", got)
	}
	if got := states([]batchResult{{Results: w.push(`{"product":"demo","alias":"ann","text":"hi","qos":0}`).Results}}); got[0] != "off:OFFLINE on:sent" {
		t.Errorf("qos 0: %q", got)
	}
	w.call(w.op, "POST", "/v1/push", `{"product":"demo","alias":"bob","text":"hi"}`).failed(t, code.NotFound, "alias")
	w.call(w.op, "POST", "/v1/push", `{"product":"demo","alias":"ann","device":"on","text":"hi"}`).failed(t, code.InvalidArgument, "alias")
	// One device, and its push fails: answered as for `devices`.
	w.saver.set(func() {
		w.saver.alias("demo/one", "lone")
		w.saver.fail = []*code.Error{code.Errorf(code.InboxFull, "full")}
	})
	if got := states([]batchResult{{Results: w.push(`{"product":"demo","alias":"one","text":"hi"}`).Results}}); got[0] != "lone:INBOX_FULL" {
		t.Errorf("%q", got)
	}
}

// TestARepeatedPushGoesToTheDevicesOfThatMoment: those that have it already do
// not get it again.
func TestARepeatedPushGoesToTheDevicesOfThatMoment(t *testing.T) {
	w := newWorld(t, nil)
	body := `{"product":"demo","alias":"ann","text":"hi","dedup_id":"x"}`
	w.saver.set(func() { w.saver.alias("demo/ann", "a", "b") })
	first := w.push(body)
	w.saver.set(func() { w.saver.alias("demo/ann", "c"); delete(w.saver.aliases.devices["demo/ann"], "a") })
	again := w.push(body)
	if first.ID != again.ID || len(again.Results) != 2 || again.Results[0].Seq != first.Results[1].Seq || again.Results[1].Device != "c" {
		t.Errorf("%+v, then %+v", first, again)
	}
	for _, d := range []string{"a", "b", "c"} {
		if n := len(w.saver.lane(d, "demo")); n != 1 {
			t.Errorf("%s has it %d times", d, n)
		}
	}
}

func TestPushToALargeAlias(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.MaxInFlight = 1500 })
	for i := range maxDevices + 1 {
		w.saver.set(func() { w.saver.alias("demo/ann", fmt.Sprintf("d%04d", i)) })
	}
	for _, page := range []int{0, 300, maxDevices} {
		w.saver.set(func() { w.saver.aliases.page = page })
		w.call(w.op, "POST", "/v1/push", `{"product":"demo","alias":"ann","text":"hi"}`).failed(t, code.TooManyTargets, "alias")
	}
	w.saver.set(func() { delete(w.saver.aliases.devices["demo/ann"], "d0500"); w.saver.aliases.page = 300 })
	out := w.push(`{"product":"demo","alias":"ann","text":"hi"}`)
	if n := len(out.Results); n != maxDevices || out.Results[n-1].Device != "d1000" || out.Results[n-1].State != stateStored {
		t.Errorf("%d results, the last is %+v", n, out.Results[n-1])
	}
	w.await("the budget to come back", func() bool { n, _ := w.center.server.budget.used(); return n == 0 })
	// The budget counts the devices, not the alias.
	hold := make(chan struct{})
	w.saver.set(func() { w.saver.hold = hold })
	first := make(chan pushAnswer, 1)
	go func() { first <- w.push(`{"product":"demo","alias":"ann","text":"hi"}`) }()
	w.await("the first push", func() bool { n, _ := w.center.server.budget.used(); return n == maxDevices })
	w.call(w.op, "POST", "/v1/push", `{"product":"demo","alias":"ann","text":"hi"}`).failed(t, code.RateLimited, "")
	close(hold)
	<-first
}

// TestABatchLooksEachAliasUpOnce, a few at once, and an alias that cannot be had
// fails its own messages.
func TestABatchLooksEachAliasUpOnce(t *testing.T) {
	w := newWorld(t, nil)
	w.reg.online("on", 5, "demo")
	w.saver.set(func() {
		w.saver.alias("demo/ann", "on", "off")
		w.saver.alias("shop/ann", "x")
		for i := range maxDevices + 1 {
			w.saver.alias("demo/all", fmt.Sprint("d", i))
		}
	})
	got := states(w.batch(w.op,
		`{"product":"demo","alias":"ann","text":"1"}`, `{"product":"demo","alias":"nobody","text":"hi"}`, `{"product":"shop","alias":"ann","text":"hi"}`,
		`{"product":"demo","device":"off","text":"2"}`, `{"product":"demo","alias":"a b","text":"hi"}`, `{"product":"demo","alias":"ann","text":"3"}`,
		`{"product":"demo","alias":"all","text":"hi"}`, `{"product":"demo","alias":"nobody","text":"hi"}`))
	want := []string{"off:stored on:sent", "NOT_FOUND alias", "x:stored", "off:stored", "INVALID_ARGUMENT alias", "off:stored on:sent", "TOO_MANY_TARGETS alias", "NOT_FOUND alias"}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	var lane []string
	for _, m := range w.saver.lane("off", "demo") {
		lane = append(lane, string(m.Message.Payload))
	}
	if strings.Join(lane, "") != "123" || w.saver.aliases.lists != 4 {
		t.Errorf("off's lane is %v, %d look-ups", lane, w.saver.aliases.lists)
	}

	hold := make(chan struct{})
	var messages []string
	for i := range 3 * maxLookUps {
		messages = append(messages, fmt.Sprintf(`{"product":"demo","alias":"a%d","text":"hi"}`, i))
	}
	w.saver.set(func() { w.saver.aliases.lists, w.saver.aliases.hold = 0, hold })
	done := make(chan []batchResult, 1)
	go func() { done <- w.batch(w.op, messages...) }()
	lists := func() (n int) { w.saver.set(func() { n = w.saver.aliases.lists }); return n }
	w.await("the look-ups", func() bool { return lists() == maxLookUps })
	if n := lists(); n > maxLookUps {
		t.Errorf("%d look-ups at once", n)
	}
	close(hold)
	if got := states(<-done); got[0] != "NOT_FOUND alias" || lists() != len(messages) {
		t.Errorf("%s, %d look-ups of %d", got[0], lists(), len(messages))
	}
}

// TestWhatABatchLooksUpIsBounded: the aliases beyond max_in_flight are not
// looked up, and their messages may be repeated.
func TestWhatABatchLooksUpIsBounded(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.MaxInFlight = maxDevices })
	const aliases = 4 * maxLookUps
	var messages []string
	for i := range aliases {
		messages = append(messages, fmt.Sprintf(`{"product":"demo","alias":"a%d","text":"hi"}`, i))
		w.saver.set(func() {
			for d := range 200 {
				w.saver.alias(fmt.Sprint("demo/a", i), fmt.Sprintf("d%d-%d", i, d))
			}
		})
	}
	stored, limited := 0, 0
	for _, r := range w.batch(w.op, messages...) {
		switch {
		case r.Error == nil:
			stored++
		case r.Error.Code == "RATE_LIMITED" && r.Error.RetryAfterMS > 0:
			limited++
		}
	}
	if stored != 5 || stored+limited != aliases || w.saver.aliases.lists > 5+1+maxLookUps {
		t.Errorf("%d stored, %d limited, %d look-ups", stored, limited, w.saver.aliases.lists)
	}
}

// TestALookUpThatFails stores nothing.
func TestALookUpThatFails(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.CallTimeout = config.Duration(100 * time.Millisecond) })
	hold := make(chan struct{})
	defer close(hold)
	w.saver.set(func() { w.saver.alias("demo/ann", "d"); w.saver.aliases.hold = hold })
	body := `{"product":"demo","alias":"ann","text":"hi"}`
	w.call(w.op, "POST", "/v1/push", body).failed(t, code.Deadline, "")
	if got := states(w.batch(w.op, body, `{"product":"demo","device":"d","text":"hi"}`)); got[0] != "DEADLINE" || got[1] != "d:stored" {
		t.Errorf("%q", got)
	}
	w.saver.set(func() { w.saver.down, w.saver.aliases.hold = code.Errorf(code.Unavailable, "the ledger is away"), nil })
	for _, c := range [][3]string{{"POST", "/v1/push", body}, {"GET", "/v1/aliases/ann?product=demo"}, {"PUT", "/v1/aliases/ann/devices/d?product=demo"}, {"DELETE", "/v1/messages/x"}} {
		w.call(w.op, c[0], c[1], c[2]).failed(t, code.Unavailable, "")
	}
	w.views.Set(cluster.NewView(2, nil))
	w.call(w.op, "GET", "/v1/aliases/ann?product=demo", "").failed(t, code.Unavailable, "")
	if n := len(w.saver.lane("d", "demo")); n != 1 {
		t.Errorf("%d are stored", n)
	}
}

// TestASaverThatIsGoneIsPassedOver by the calls that any saver answers.
func TestASaverThatIsGoneIsPassedOver(t *testing.T) {
	w := newWorld(t, nil)
	living := w.views.View().Kind(cluster.Saver)[0]
	dead := living
	dead.ID, dead.RPC = "saver-0", "saver:nowhere"
	v := cluster.NewView(2, []cluster.Instance{dead, living})
	w.views.Set(v)
	owned := map[string]int{}
	for i := range 20 {
		alias := fmt.Sprint("a", i)
		owner, _ := v.Owner(cluster.Saver, slot.Of(alias))
		owned[owner.ID]++
		var out aliasChange
		w.call(w.op, "PUT", "/v1/aliases/"+alias+"/devices/d?product=demo", "").into(t, &out)
		if !out.Changed {
			t.Errorf("%s was there", alias)
		}
	}
	if len(owned) != 2 {
		t.Errorf("all aliases are of one saver: %v", owned)
	}
	w.views.Set(cluster.NewView(3, []cluster.Instance{dead}))
	w.call(w.op, "PUT", "/v1/aliases/ann/devices/d?product=demo", "").failed(t, code.Unavailable, "")
}

// TestALookUpThatPanics refuses its own messages: nothing is answered as if it
// had gone to no device.
func TestALookUpThatPanics(t *testing.T) {
	w := newWorld(t, nil)
	w.saver.set(func() { w.saver.alias("demo/ann", "d") })
	s := w.center.server
	peers := s.deps.Peers
	s.deps.Peers = nil
	ctx := withPrincipal(t.Context(), principal{})
	rep, err := s.PushBatch(ctx, &api.PushBatchRequest{Messages: []*api.PushRequest{{Product: "demo", Alias: "ann", Text: ptr("hi")}}})
	s.deps.Peers = peers
	if err != nil || code.Code(rep.Results[0].Error.GetCode()) != code.Internal {
		t.Errorf("%v, %v", rep, err)
	}
}
