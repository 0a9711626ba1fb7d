package center

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"longlink/pkg/code"
	"longlink/pkg/config"
)

// batch pushes messages with a key; each is a JSON object.
func (w *world) batch(key string, messages ...string) []batchResult {
	w.t.Helper()
	var out batchAnswer
	w.call(key, "POST", "/v1/push:batch", `{"messages":[`+strings.Join(messages, ",")+`]}`).into(w.t, &out)
	if len(out.Results) != len(messages) {
		w.t.Fatalf("%d results of %d messages", len(out.Results), len(messages))
	}
	return out.Results
}

// states writes each result as its states or its error's code and field.
func states(results []batchResult) []string {
	out := make([]string, len(results))
	for i, r := range results {
		if r.Error != nil {
			out[i] = strings.TrimSpace(r.Error.Code + " " + r.Error.Field)
		}
		for _, x := range r.Results {
			if x.Error != nil {
				x.State = x.Error.Code
			}
			out[i] += x.Device + ":" + x.State + " "
		}
		out[i] = strings.TrimSpace(out[i])
	}
	return out
}

// TestABadMessageFailsAlone: each in its place, with the code that a push of
// its own would have got.
func TestABadMessageFailsAlone(t *testing.T) {
	w := newWorld(t, nil)
	w.reg.online("on", 5, "demo")
	good := `{"product":"demo","device":"on","text":"hi"}`
	var messages, want []string
	for _, c := range []struct{ message, state string }{
		{`{"product":"demo","device":"off","text":"hi"}`, "off:stored"},
		{`{"product":"demo","device":"on","text":"hi","colour":1}`, "INVALID_ARGUMENT colour"},
		{`{"product":"demo","device":"on","text":1}`, "INVALID_ARGUMENT text"},
		{`{"product":"demo","device":"on","text":"hi","ttl":"0s"}`, "INVALID_ARGUMENT ttl"},
		{`{"product":"demo","device":"on","text":"hi","wait":"1s"}`, "INVALID_ARGUMENT wait"},
		{`{"product":"nope","device":"on","text":"hi"}`, "UNKNOWN_PRODUCT product"},
		{`{"product":"demo","device":"a b","text":"hi"}`, "INVALID_ARGUMENT device"},
		{`{"product":"demo","device":"on","text":"` + strings.Repeat("x", maxPayload+1) + `"}`, "PAYLOAD_TOO_LARGE text"},
		{`{}`, "INVALID_ARGUMENT product"},
		{`7`, "MALFORMED"},
		{`null`, "MALFORMED"},
		{`[` + good + `]`, "MALFORMED"},
		{"{\"product\":\"\xff\"}", "MALFORMED"},
		{`{"product":"demo","devices":["on","off","a b"],"text":"hi"}`, "on:sent off:stored a b:INVALID_ARGUMENT"},
		{`{"product":"demo","device":"off","text":"hi","qos":0}`, "OFFLINE"},
		{`{"product":"demo","device":"on","text":"hi","qos":0}`, "on:sent"},
	} {
		messages, want = append(messages, good, c.message), append(want, "on:sent", c.state)
	}
	results := w.batch(w.op, messages...)
	for i, got := range states(results) {
		if got != want[i] {
			t.Errorf("%.100s: %s, want %s", messages[i], got, want[i])
		}
	}
	if r := results[0]; r.ID == "" || r.Results[0].Seq == 0 {
		t.Errorf("%+v", r)
	}
	if got := states(w.batch(w.op, `{}`, `1`)); got[0] != "INVALID_ARGUMENT product" || got[1] != "MALFORMED" {
		t.Errorf("only bad ones: %q", got)
	}
	if got := states(w.batch(w.keys["shop"], good, `{"product":"shop","device":"on","text":"hi"}`)); got[0] != "PERMISSION_DENIED product" || got[1] != "on:stored" {
		t.Errorf("with the key of shop: %q", got)
	}
	w.saver.set(func() { w.saver.fail = []*code.Error{code.Errorf(code.InboxFull, "full")} })
	if got := states(w.batch(w.op, good)); got[0] != "INBOX_FULL" {
		t.Errorf("a full lane: %q", got)
	}
}

func TestBadBatches(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.MaxInFlightBytes = 8 << 20 })
	item := `{"product":"demo","device":"d","text":"hi"}`
	for _, c := range []struct {
		name, body string
		code       code.Code
		field      string
	}{
		{"empty", ``, code.Malformed, ""},
		{"a list", `[` + item + `]`, code.Malformed, ""},
		{"no messages", `{}`, code.InvalidArgument, "messages"},
		{"none", `{"messages":[]}`, code.InvalidArgument, "messages"},
		{"null", `{"messages":null}`, code.InvalidArgument, "messages"},
		{"no list", `{"messages":` + item + `}`, code.InvalidArgument, "messages"},
		{"more fields", `{"messages":[` + item + `],"product":"demo"}`, code.InvalidArgument, "product"},
		{"broken", `{"messages":[` + item + `,]}`, code.Malformed, ""},
		{"too many", `{"messages":[` + strings.Repeat("{},", maxBatch) + `{}]}`, code.TooManyTargets, "messages"},
		{"too long", `{"messages":[` + item + strings.Repeat(" ", 4<<20) + `]}`, code.PayloadTooLarge, ""},
	} {
		t.Run(c.name, func(t *testing.T) { w.call(w.op, "POST", "/v1/push:batch", c.body).failed(t, c.code, c.field) })
	}
	// Of unknown length.
	req, _ := http.NewRequest("POST", w.url+"/v1/push:batch", struct{ *strings.Reader }{strings.NewReader(strings.Repeat(" ", 5<<20))})
	req.Header.Set("Authorization", "Bearer "+w.op)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 413 {
		t.Errorf("a long body of unknown length: %d", res.StatusCode)
	}
	if n, b := w.center.server.budget.used(); n != 0 || b != 0 || len(w.saver.lanes) != 0 {
		t.Errorf("%d messages and %d bytes are in flight, %d lanes", n, b, len(w.saver.lanes))
	}
}

// TestABatchTravelsInBatches and keeps the order of each lane.
func TestABatchTravelsInBatches(t *testing.T) {
	w := newWorld(t, nil)
	const devices, each = 10, 100
	var messages []string
	for n := range each {
		for d := range devices {
			messages = append(messages, fmt.Sprintf(`{"product":"demo","device":"d%d","text":"%d"}`, d, n))
		}
	}
	for i, s := range states(w.batch(w.op, messages...)) {
		if !strings.HasSuffix(s, ":stored") {
			t.Fatalf("message %d: %s", i, s)
		}
	}
	for d := range devices {
		lane := w.saver.lane(fmt.Sprint("d", d), "demo")
		if len(lane) != each {
			t.Fatalf("lane %d has %d messages", d, len(lane))
		}
		for n, m := range lane {
			if string(m.Message.Payload) != fmt.Sprint(n) {
				t.Fatalf("lane %d: %s in place %d", d, m.Message.Payload, n)
			}
		}
	}
	if n := metric(t, w.proms, "longlink_batch_items", "saver.append"); n > devices*each/4 {
		t.Errorf("%d messages went to saver in %v batches", devices*each, n)
	}
}

// TestRefusedMessagesKeepTheirOrder: a saver that is not ready refuses the
// first ones of a lane, and a part of the repetitions.
func TestRefusedMessagesKeepTheirOrder(t *testing.T) {
	notReady := code.Errorf(code.NotReady, "rebuilding")
	messages := make([]string, 50)
	for i := range messages {
		messages[i] = fmt.Sprintf(`{"product":"demo","device":"d","text":"%d"}`, i)
	}
	for name, c := range map[string]struct {
		refuse  []int // appends that are refused, counted as they come
		refused []int // messages that are answered with the refusal
	}{
		"all, twice":      {seq(0, 100), nil},
		"the last ones":   {seq(40, 50), nil},
		"one, overtaken":  {[]int{7}, []int{7}},
		"two of the last": {[]int{10, 48, 49}, []int{10}},
		// Appends 50 to 59 are messages 40 to 49 again.
		"overtaken at the second try": {append(seq(40, 50), 55), []int{45}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.saver.set(func() {
				for _, at := range c.refuse {
					for len(w.saver.fail) < at {
						w.saver.fail = append(w.saver.fail, nil)
					}
					w.saver.fail = append(w.saver.fail, notReady)
				}
			})
			refused := map[int]bool{}
			for _, i := range c.refused {
				refused[i] = true
			}
			var want []string
			for i, s := range states(w.batch(w.op, messages...)) {
				if refused[i] {
					if s != "NOT_READY" {
						t.Errorf("message %d: %s", i, s)
					}
					continue
				}
				if want = append(want, fmt.Sprint(i)); s != "d:stored" {
					t.Errorf("message %d: %s", i, s)
				}
			}
			var got []string
			for _, m := range w.saver.lane("d", "demo") {
				got = append(got, string(m.Message.Payload))
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("stored %v", got)
			}
		})
	}
}

func seq(from, to int) (out []int) {
	for i := from; i < to; i++ {
		out = append(out, i)
	}
	return out
}

func TestABatchIsBoundedByTheBudget(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.MaxInFlight = 1000 })
	devices := make([]string, 600)
	for i := range devices {
		devices[i] = fmt.Sprintf("%q", fmt.Sprint("d", i))
	}
	large := `{"product":"demo","devices":[` + strings.Join(devices, ",") + `],"text":"hi"}`
	one := `{"product":"demo","device":"d","text":"hi"}`
	results := w.batch(w.op, large, large, one)
	if len(results[0].Results) != 600 || results[1].Error == nil || results[1].Error.Code != "RATE_LIMITED" || results[1].Error.RetryAfterMS == 0 || results[2].Error != nil {
		t.Errorf("%+v %+v", results[1], results[2])
	}
	w.await("the budget to come back", func() bool { n, b := w.center.server.budget.used(); return n == 0 && b == 0 })
}

// TestABatchAnswersInTime: a room that does not answer holds up nobody's
// answer, but that of a qos 0 message.
func TestABatchAnswersInTime(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		c.SentWait, c.DeliverDeadline = config.Duration(time.Millisecond), config.Duration(300*time.Millisecond)
	})
	w.reg.online("d", 5, "demo")
	hold := make(chan struct{})
	defer close(hold)
	w.room.set(func() { w.room.hold = hold })
	stored := `{"product":"demo","device":"d","text":"hi"}`
	if got := states(w.batch(w.op, stored, stored)); got[0] != "d:stored" || got[1] != "d:stored" {
		t.Errorf("%q", got)
	}
	if got := states(w.batch(w.op, stored, `{"product":"demo","device":"d","text":"hi","qos":0}`)); got[0] != "d:stored" || got[1] != "DEADLINE" {
		t.Errorf("%q", got)
	}
}
