package center

import (
	"slices"
	"strings"
	"testing"
	"time"

	"longlink/pkg/api"
	"longlink/pkg/code"
	"longlink/pkg/config"
	"longlink/pkg/wire"
)

func TestPushIsStoredThenSent(t *testing.T) {
	w := newWorld(t, nil)
	out := w.push(`{"product":"demo","device":"d1","text":"hi"}`)
	if r := out.Results[0]; r.State != stateStored || r.Seq == 0 || r.Device != "d1" || out.ID == "" {
		t.Fatalf("offline: %+v", out)
	}
	w.reg.online("d1", 5, "demo")
	out = w.push(`{"product":"demo","device":"d1","text":"hi"}`)
	if r := out.Results[0]; r.State != stateSent {
		t.Fatalf("online: %+v", out)
	}
	lane, items := w.saver.lane("d1", "demo"), w.room.items()
	if len(lane) != 2 || len(items) != 1 {
		t.Fatalf("%d messages stored, %d delivered", len(lane), len(items))
	}
	it := items[0]
	if it.Device != "d1" || it.Product != "demo" || it.Conn != 5 || it.Epoch != 5 || it.Message.Seq != lane[1].Seq || it.Message.Prev != lane[0].Seq || it.Message.Message.Id != out.ID {
		t.Errorf("delivered %v", it)
	}
}

func TestPushMessageIsEncodedOnce(t *testing.T) {
	w := newWorld(t, nil)
	before := time.Now()
	w.push(`{"product":"demo","device":"d1","text":"hi","data":{"b":"2","a":"1"},"collapse_key":"k","dedup_id":"x","ttl":"90s"}`)
	m := w.saver.lane("d1", "demo")[0].Message
	want := wire.AppendCollapseKey(wire.AppendData(wire.AppendData(nil, "a", "1"), "b", "2"), "k")
	if string(m.Payload) != "hi" || m.Flags != wire.FlagText || string(m.Ext) != string(want) || m.Qos != 1 || m.CollapseKey != "k" || m.DedupId != "x" {
		t.Errorf("stored %v", m)
	}
	if accepted := time.UnixMilli(m.AcceptedMs); accepted.Before(before.Truncate(time.Millisecond)) || m.ExpiresMs-m.AcceptedMs != 90_000 {
		t.Errorf("accepted %d, expires %d", m.AcceptedMs, m.ExpiresMs)
	}
	w.push(`{"product":"demo","device":"d1","json":{"a": [1, 2]}}`)
	w.push(`{"product":"demo","device":"d1","payload":"AP8="}`)
	w.push(`{"product":"demo","device":"d1","text":""}`)
	lane := w.saver.lane("d1", "demo")
	if j := lane[1].Message; j.Flags != wire.FlagJSON || string(j.Payload) != `{"a": [1, 2]}` || j.ExpiresMs-j.AcceptedMs != 24*3600_000 {
		t.Errorf("json stored as %v", j)
	}
	if b := lane[2].Message; b.Flags != 0 || string(b.Payload) != "\x00\xff" {
		t.Errorf("payload stored as %v", b)
	}
	if e := lane[3].Message; e.Flags != wire.FlagText || len(e.Payload) != 0 {
		t.Errorf("empty text stored as %v", e)
	}
}

func TestPushWaitsForTheAck(t *testing.T) {
	w := newWorld(t, nil)
	w.reg.online("d1", 5, "demo")
	w.room.set(func() {
		w.room.onItem = func(it *api.DeliverItem) { w.saver.ack(it.Device+"/"+it.Product, it.Message.Seq) }
	})
	out := w.push(`{"product":"demo","device":"d1","text":"hi","wait":"10s"}`)
	if out.Results[0].State != stateAcked {
		t.Errorf("%+v", out)
	}
	out = w.push(`{"product":"demo","devices":["d1","d2"],"text":"hi","wait":"50ms"}`)
	if out.Results[0].State != stateAcked || out.Results[1].State != stateStored {
		t.Errorf("%+v", out)
	}
}

func TestPushAnswerDoesNotWaitForASlowRoom(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.SentWait = config.Duration(20 * time.Millisecond) })
	w.reg.online("d1", 5, "demo")
	hold := make(chan struct{})
	w.room.set(func() { w.room.hold = hold })
	if out := w.push(`{"product":"demo","device":"d1","text":"hi"}`); out.Results[0].State != stateStored {
		t.Errorf("%+v", out)
	}
	w.room.set(func() { w.room.hold = nil })
	close(hold)
	w.await("the delivery that outlives the answer", func() bool { return len(w.room.items()) == 1 })
}

func TestPushRepeatsWhatMayBeRepeated(t *testing.T) {
	away := func(c code.Code) *code.Error { return code.Errorf(c, "away") }
	for name, set := range map[string]func(w *world){
		"slot not rebuilt":  func(w *world) { w.saver.fail = []*code.Error{away(code.NotReady), away(code.NotReady)} },
		"slot warming":      func(w *world) { w.reg.fail = []*code.Error{away(code.NotReady)} },
		"slot moved":        func(w *world) { w.reg.fail = []*code.Error{away(code.WrongOwner), away(code.Unavailable)} },
		"loop did not turn": func(w *world) { w.room.fail = []*code.Error{away(code.Unavailable)} },
		"device moved":      func(w *world) { w.room.states = []api.DeliverResult_State{api.DeliverResult_STATE_GONE} },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(c *Config) { c.SentWait = config.Duration(5 * time.Second) })
			w.reg.online("d1", 5, "demo")
			set(w)
			if name == "device moved" {
				// The room says gone; by then the device is known with a new session.
				w.room.onItem = func(it *api.DeliverItem) {
					if it.Epoch == 5 {
						w.reg.online("d1", 6, "demo")
					}
				}
			}
			if out := w.push(`{"product":"demo","device":"d1","text":"hi"}`); out.Results[0].State != stateSent {
				t.Errorf("%+v", out)
			}
			if n := len(w.saver.lane("d1", "demo")); n != 1 {
				t.Errorf("stored %d times", n)
			}
		})
	}
}

func TestPushToASessionThatIsGone(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.SentWait = config.Duration(5 * time.Second) })
	w.reg.online("d1", 5, "demo")
	w.room.set(func() {
		w.room.states = []api.DeliverResult_State{api.DeliverResult_STATE_GONE, api.DeliverResult_STATE_GONE}
	})
	if out := w.push(`{"product":"demo","device":"d1","text":"hi"}`); out.Results[0].State != stateStored {
		t.Errorf("%+v", out)
	}
	w.await("the owner to be told", func() bool {
		w.reg.mu.Lock()
		defer w.reg.mu.Unlock()
		return len(w.reg.deleted) > 0 && w.reg.deleted[0].Epoch == 5 && w.reg.deleted[0].Room == "room-1" && w.reg.deleted[0].RoomEpoch == 7
	})
	if n := len(w.room.items()); n > 2 {
		t.Errorf("delivered %d times", n)
	}
}

func TestPushOfARoomTheViewDoesNotHave(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		c.SentWait, c.DeliverDeadline = config.Duration(5*time.Second), config.Duration(200*time.Millisecond)
	})
	w.reg.online("d1", 5, "demo")
	w.reg.set(func() { w.reg.sessions["d1"].RoomEpoch = 6 }) // an earlier life
	if out := w.push(`{"product":"demo","device":"d1","text":"hi"}`); out.Results[0].State != stateStored || len(w.room.items()) != 0 {
		t.Errorf("%+v", out)
	}
}

func TestPushWithoutSaver(t *testing.T) {
	w := newWorld(t, nil)
	w.saver.set(func() { w.saver.down = code.Errorf(code.Unavailable, "redis is away") })
	a := w.call(w.op, "POST", "/v1/push", `{"product":"demo","device":"d1","text":"hi"}`)
	e := a.failed(t, code.Unavailable, "")
	if a.status != 503 || e.RetryAfterMS == 0 || a.header.Get("Retry-After") == "" {
		t.Errorf("%s %v", a.body, a.header)
	}
	out := w.push(`{"product":"demo","devices":["d1"],"text":"hi"}`)
	if r := out.Results[0]; r.Error == nil || r.Error.Code != "UNAVAILABLE" || r.State != "" {
		t.Errorf("%+v", out)
	}
}

func TestPushThatIsNotAnsweredIsUnknown(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.AppendTimeout = config.Duration(100 * time.Millisecond) })
	hold := make(chan struct{})
	defer close(hold)
	w.saver.set(func() { w.saver.hold = hold })
	w.call(w.op, "POST", "/v1/push", `{"product":"demo","device":"d1","text":"hi"}`).failed(t, code.Unknown, "")
}

func TestPushDedup(t *testing.T) {
	w := newWorld(t, nil)
	body := `{"product":"demo","device":"d1","text":"hi","dedup_id":"x"}`
	first := w.push(body)
	w.reg.online("d1", 5, "demo")
	again := w.push(body)
	if again.ID != first.ID || again.Results[0].Seq != first.Results[0].Seq || !wire.ValidName(first.ID) {
		t.Errorf("%+v then %+v", first, again)
	}
	items := w.room.items()
	if len(items) != 1 || items[0].Message.Prev != first.Results[0].Seq-1 {
		t.Errorf("delivered %v: its place in the lane is old", items)
	}
	if other := w.push(strings.Replace(body, "demo", "shop", 1)); other.ID == first.ID {
		t.Error("two products got one id")
	}
	if fresh := w.push(`{"product":"demo","device":"d1","text":"hi"}`); fresh.ID == first.ID || len(fresh.ID) != 26 {
		t.Errorf("id %s", fresh.ID)
	}
}

func TestPushToManyGivesEachItsResult(t *testing.T) {
	w := newWorld(t, nil)
	w.reg.online("on", 5, "demo")
	w.reg.online("other", 5, "shop") // connected, but not for this product
	out := w.push(`{"product":"demo","devices":["on","bad id","off","on","","other"],"text":"hi"}`)
	var got []string
	for _, r := range out.Results {
		s := r.State
		if r.Error != nil {
			s = r.Error.Code + " " + r.Error.Field
		}
		got = append(got, r.Device+":"+s)
	}
	want := []string{"on:sent", "bad id:INVALID_ARGUMENT devices", "off:stored", "on:INVALID_ARGUMENT devices", ":INVALID_ARGUMENT devices", "other:stored"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	w.saver.set(func() { w.saver.fail = []*code.Error{code.Errorf(code.InboxFull, "full")} })
	out = w.push(`{"product":"demo","devices":["on","off"],"text":"hi"}`)
	failed := 0
	for _, r := range out.Results {
		if r.Error != nil {
			failed++
			if r.Error.Code != "INBOX_FULL" || r.Error.RetryAfterMS == 0 {
				t.Errorf("%+v", r.Error)
			}
		}
	}
	if failed != 1 {
		t.Errorf("%d of 2 failed", failed)
	}
	w.call(w.op, "POST", "/v1/push", `{"product":"demo","device":"bad id","text":"hi"}`).failed(t, code.InvalidArgument, "device")
}

func TestQoS0IsSentOrNothing(t *testing.T) {
	w := newWorld(t, nil)
	body := `{"product":"demo","device":"d1","text":"hi","qos":0}`
	w.call(w.op, "POST", "/v1/push", body).failed(t, code.Offline, "")
	w.reg.online("d1", 5, "demo")
	if out := w.push(body); out.Results[0].State != stateSent || out.Results[0].Seq != 0 {
		t.Errorf("%+v", out)
	}
	for name, set := range map[string]func(){
		"window closed": func() { w.room.states = []api.DeliverResult_State{api.DeliverResult_STATE_DROPPED} },
		"unbound":       func() { w.room.states = []api.DeliverResult_State{api.DeliverResult_STATE_UNBOUND} },
		"gone": func() {
			w.room.states = []api.DeliverResult_State{api.DeliverResult_STATE_GONE, api.DeliverResult_STATE_GONE}
		},
	} {
		w.reg.online("d1", 5, "demo")
		w.room.set(set)
		t.Log(name)
		w.call(w.op, "POST", "/v1/push", body).failed(t, code.Offline, "")
	}
	w.reg.online("d1", 5, "demo")
	w.room.set(func() { w.room.states, w.room.fail = nil, []*code.Error{code.Errorf(code.Unavailable, "x")} })
	before := len(w.room.items())
	w.call(w.op, "POST", "/v1/push", body).failed(t, code.Unavailable, "")
	if len(w.room.items()) != before {
		t.Error("a qos 0 message was sent twice")
	}
	if n := len(w.saver.lane("d1", "demo")); n != 0 {
		t.Errorf("%d messages were stored", n)
	}
}

func TestWhatRoomsAnswer(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.SentWait = config.Duration(5 * time.Second) })
	w.reg.online("d1", 5, "demo")
	for answer, want := range map[api.DeliverResult_State]string{
		api.DeliverResult_STATE_SENT:      stateSent,
		api.DeliverResult_STATE_HAVE:      stateSent, // the room loads it when the window opens
		api.DeliverResult_STATE_DUPLICATE: stateSent,
		api.DeliverResult_STATE_UNBOUND:   stateStored,
		api.DeliverResult_STATE_DROPPED:   stateStored,
		99:                                stateStored, // of a newer room
	} {
		w.room.set(func() { w.room.states = []api.DeliverResult_State{answer} })
		if out := w.push(`{"product":"demo","device":"d1","text":"hi"}`); out.Results[0].State != want {
			t.Errorf("%v: %+v, want %s", answer, out, want)
		}
	}
}
