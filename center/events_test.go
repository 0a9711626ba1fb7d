package center

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"longlink/pkg/api"
	"longlink/pkg/cluster"
	"longlink/pkg/code"
	"longlink/pkg/config"
	"longlink/pkg/rpc"
	"longlink/pkg/slot"
	"longlink/pkg/wire"
)

// quick is a center whose followers ask often, and tell a cursor after each turn.
func quick(t *testing.T, change func(*Config)) *world {
	t.Helper()
	w := newWorld(t, func(c *Config) {
		c.Events.Poll = config.Duration(10 * time.Millisecond)
		if change != nil {
			change(c)
		}
	})
	w.center.server.followers.mark = 0
	return w
}

func (w *world) following(n int) {
	w.t.Helper()
	w.await(fmt.Sprintf("%d followers", n), func() bool { return w.center.server.followers.count() == n })
}

func TestEventsFromNow(t *testing.T) {
	w := quick(t, nil)
	w.saver.log.text("d1", "before")
	s := w.follow(w.keys["demo"], "", "")
	s.next() // the cursor: "now" is behind it
	var ids []string
	for i := range 3 {
		ids = append(ids, w.saver.log.text("d1", fmt.Sprint("hi ", i)))
	}
	for i := range 3 {
		if e := s.event(); e.ID != ids[i] || *e.Text != fmt.Sprint("hi ", i) || e.Type != "upstream" || e.Product != "demo" || e.Device != "d1" || e.Kind != "chat" || e.UpID != uint64(i+2) {
			t.Errorf("event %d: %+v", i, e)
		} else if at, err := time.Parse(time.RFC3339, e.Time); err != nil || time.Since(at).Abs() > time.Minute {
			t.Errorf("event %d has the time %s", i, e.Time)
		}
	}
	if n := metric(t, w.proms, "longlink_center_events_total"); n != 3 {
		t.Errorf("%v events are counted", n)
	}
	if n := metric(t, w.proms, "longlink_center_event_followers"); n != 1 {
		t.Errorf("%v followers are counted", n)
	}
	s.end()
	w.following(0)
	w.await("the call to be counted", func() bool {
		return metric(t, w.proms, "longlink_center_requests_total", "events", "OK") == 1
	})
}

// TestEventForms: what a device sent comes as what it is.
func TestEventForms(t *testing.T) {
	w := quick(t, nil)
	f := loadAPI(t)
	s := w.follow(w.op, "?product=demo&since=1m", "")
	for _, c := range []struct {
		name    string
		flags   uint32
		payload string
		ext     []byte
		want    string
	}{
		{"text", wire.FlagText, "a\n\r\u2028 <b> \x00", nil, `"text":"a\n\r\u2028 <b> \u0000"`},
		{"empty text", wire.FlagText | wire.FlagFirst, "", nil, `"text":""`},
		{"text that is none", wire.FlagText, "a\xff", nil, `"payload":"Yf8="`},
		{"json", wire.FlagJSON, "{\n \"a\": [1, 12345678901234567890]\r\n}", nil, `"json":{"a":[1,12345678901234567890]}`},
		{"json null", wire.FlagJSON, "null", nil, `"json":null`},
		{"json that is none", wire.FlagJSON, "{", nil, `"payload":"ew=="`},
		{"empty json", wire.FlagJSON, "", nil, `"payload":""`},
		{"json with a bad text", wire.FlagJSON, "\"\xff\"", nil, `"payload":"Iv8i"`},
		{"bytes", 0, "\x00\xff", nil, `"payload":"AP8="`},
		{"no bytes", 0, "", nil, `"payload":""`},
		{"data", 0, "", wire.AppendData(wire.AppendData(nil, "k", "v"), "b\xff", "\xff"), `"payload":"","data":{"b�":"�","k":"v"}`},
		{"ext that cannot be read", 0, "", []byte{1, 0x7f}, `"payload":""`},
	} {
		id := w.saver.log.add(&api.UpItem{Device: "d1", Product: "demo", Kind: "k", Flags: c.flags, Ext: c.ext, Payload: []byte(c.payload)})
		b := s.until(func(b block) bool { return b.event != "" })
		if !strings.HasSuffix(b.data, ","+c.want+"}") || !strings.Contains(b.data, `"id":"`+id+`"`) {
			t.Errorf("%s: %s", c.name, b.data)
		}
		var v map[string]any
		if err := json.Unmarshal([]byte(b.data), &v); err != nil {
			t.Fatal(err)
		}
		delete(v, "json") // anything
		f.conforms(t, c.name, f.Components.Schemas["Event"], v)
	}
	w.saver.log.set(func() { // a class of a later version
		part := slot.Tag(slot.Of("d1"))
		w.saver.log.clock++
		w.saver.log.rows[part] = append(w.saver.log.rows[part], &api.UpstreamRow{Seq: w.saver.log.clock, Class: 9, Item: &api.UpItem{Product: "demo", Device: "d1"}})
	})
	id := w.saver.log.text("d1", "hi")
	if e := s.event(); e.ID != id {
		t.Errorf("%+v", e)
	}
}

func TestEventsOfAProductAndKind(t *testing.T) {
	w := quick(t, nil)
	demo, chat, shop := w.follow(w.keys["demo"], "?product=demo", ""), w.follow(w.op, "?product=demo&kind=chat", ""), w.follow(w.keys["shop"], "", "")
	for _, s := range []*stream{demo, chat, shop} {
		s.next()
	}
	up := func(product, kind string) string {
		return w.saver.log.add(&api.UpItem{Device: "d1", Product: product, Kind: kind})
	}
	first, second, third := up("demo", "move"), up("shop", "chat"), up("demo", "chat")
	if a, b := demo.event(), demo.event(); a.ID != first || b.ID != third {
		t.Errorf("demo got %s and %s", a.ID, b.ID)
	}
	if e := chat.event(); e.ID != third {
		t.Errorf("demo's chat got %+v", e)
	}
	if e := shop.event(); e.ID != second {
		t.Errorf("shop got %+v", e)
	}
}

// TestEventsKeepToTheirProduct: also when a saver does not.
func TestEventsKeepToTheirProduct(t *testing.T) {
	w := quick(t, nil)
	s := w.follow(w.keys["demo"], "?kind=chat&since=1m", "")
	w.saver.log.set(func() {
		for i, it := range []*api.UpItem{{Product: "shop", Kind: "chat"}, {Product: "demo", Kind: "move"}, {Product: "demo", Kind: "chat"}, nil} {
			w.saver.log.rows[3] = append(w.saver.log.rows[3], &api.UpstreamRow{Seq: uint64(time.Now().UnixMicro() + int64(i)), Item: it})
		}
	})
	var f follower
	f.s, f.out, f.product, f.log.kind = w.center.server, &heldEvents{}, "demo", "chat"
	if err := f.emit(3, &api.ReadUpstreamReply{Rows: w.saver.log.rows[3]}); err != nil || len(f.out.(*heldEvents).got) != 1 {
		t.Errorf("%v, sent %v", err, f.out.(*heldEvents).got)
	}
	if e := s.event(); e.Product != "demo" || e.Kind != "chat" {
		t.Errorf("%+v", e)
	}
}

// heldEvents is a sink that keeps what it gets.
type heldEvents struct {
	got   []*api.Event
	marks []int // how many events came before each cursor
}

func (h *heldEvents) event(e *api.Event) error { h.got = append(h.got, e); return nil }
func (h *heldEvents) mark(string) error        { h.marks = append(h.marks, len(h.got)); return nil }
func (h *heldEvents) ping(string) error        { return nil }
func (h *heldEvents) note(string) error        { return nil }
func (h *heldEvents) flush() error             { return nil }

// TestCursorsComeOften: who breaks off gets few events twice.
func TestCursorsComeOften(t *testing.T) {
	w := quick(t, nil)
	out := &heldEvents{}
	f := follower{s: w.center.server, out: out, product: "demo"}
	page := &api.ReadUpstreamReply{}
	for seq := range uint64(2*eventMarks + 1) {
		page.Rows = append(page.Rows, &api.UpstreamRow{Seq: seq + 1, Item: &api.UpItem{Product: "demo"}})
	}
	if err := f.emit(0, page); err != nil || len(out.got) != len(page.Rows) || !slices.Equal(out.marks, []int{eventMarks, 2 * eventMarks}) {
		t.Errorf("%v, %d events with cursors after %v", err, len(out.got), out.marks)
	}
}

// TestEventsSince: from a time on, however long ago, and a cursor wins over it.
func TestEventsSince(t *testing.T) {
	w := quick(t, nil)
	id := w.saver.log.text("d1", "some time ago")
	w.saver.log.set(func() {
		for _, rows := range w.saver.log.rows {
			for _, row := range rows {
				row.Seq -= uint64(time.Hour.Microseconds())
			}
		}
	})
	id = strings.Split(id, "-")[0]
	late := w.saver.log.text("d1", "now")
	if e := w.follow(w.op, "?product=demo&since=10m", "").event(); e.ID != late {
		t.Errorf("since 10m: %+v", e)
	}
	for _, since := range []string{"61m", "8760h", "2562047h"} {
		if e := w.follow(w.op, "?product=demo&since="+since, "").event(); !strings.HasPrefix(e.ID, id) || *e.Text != "some time ago" {
			t.Errorf("since %s: %+v", since, e)
		}
	}
	s := w.follow(w.op, "?product=demo&since=0s", "")
	s.next()
	third := w.saver.log.text("d1", "later")
	if e := s.event(); e.ID != third {
		t.Errorf("since 0s: %+v", e)
	}
	at := s.until(func(b block) bool { return b.id != "" }).id
	fourth := w.saver.log.text("d1", "last")
	if e := w.follow(w.op, "?product=demo&since=10m&cursor="+at, "").event(); e.ID != fourth {
		t.Errorf("with a cursor: %+v", e)
	}
	var begin positions
	if e := w.follow(w.op, "?product=demo&since=10m&cursor="+begin.cursor(), at).event(); e.ID != fourth {
		t.Errorf("with the header: %+v", e)
	}
}

// TestABusyPartitionDoesNotStarveOthers: nor is it read in one go.
func TestABusyPartitionDoesNotStarveOthers(t *testing.T) {
	w := quick(t, nil)
	w.saver.log.set(func() { w.saver.log.page = 10 })
	part := slot.Tag(slot.Of("busy"))
	quiet := "quiet"
	for i := 0; slot.Tag(slot.Of(quiet)) <= part; i++ {
		quiet = fmt.Sprint("quiet-", i) // a partition that is read after the busy one
	}
	for i := range 500 {
		w.saver.log.text("busy", fmt.Sprint(i))
	}
	w.saver.log.text(quiet, "me too")
	s := w.follow(w.op, "?product=demo&since=1m", "")
	busy := 0
	for seen := false; busy < 500; {
		switch e := s.event(); {
		case e.Device == quiet:
			if seen = true; busy > 10 {
				t.Errorf("it came behind %d events of the busy one", busy)
			}
		case *e.Text != fmt.Sprint(busy):
			t.Fatalf("event %d is %+v", busy, e)
		default:
			if busy++; busy == 500 && !seen {
				t.Error("the quiet one did not come")
			}
		}
	}
}

// TestEventsPing: a silent stream tells that it lives, and a cursor when
// something went by.
func TestEventsPing(t *testing.T) {
	w := quick(t, nil)
	w.center.server.followers.ping, w.center.server.followers.mark = 20*time.Millisecond, time.Hour
	s := w.follow(w.keys["demo"], "", "")
	first := s.next().id
	s.until(func(b block) bool { return b.comment == "ping" })
	w.saver.log.add(&api.UpItem{Device: "d1", Product: "shop", Kind: "k"})
	if next := s.until(func(b block) bool { return b.id != "" }).id; next == first {
		t.Error("the cursor did not move")
	}
	stream, err := api.NewCenterClient(w.dial()).Events(withKey(t.Context(), w.op), &api.EventsRequest{Product: "demo"})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if e, err := stream.Recv(); err != nil || e.Cursor == "" || e.Id != "" {
			t.Fatalf("%v, %v", e, err)
		}
	}
}

func TestEventsOverGRPC(t *testing.T) {
	w := quick(t, nil)
	center := api.NewCenterClient(w.dial())
	stream, err := center.Events(withKey(t.Context(), w.keys["demo"]), &api.EventsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	e, err := stream.Recv()
	if err != nil || e.Cursor == "" {
		t.Fatalf("%v, %v", e, err)
	}
	at := e.Cursor
	var ids, got []string
	for i := range 20 {
		ids = append(ids, w.saver.log.text("d1", fmt.Sprint(i)))
	}
	read := func(n int) {
		t.Helper()
		for len(got) < n {
			e, err := stream.Recv()
			if err != nil {
				t.Fatal(err)
			}
			if e.Id != "" {
				got = append(got, e.Id)
			}
			if e.Cursor != "" {
				at = e.Cursor
			}
		}
	}
	if read(20); !slices.Equal(got, ids) {
		t.Errorf("got %v of %v", got, ids)
	}
	for e := (&api.Event{}); e.Cursor == ""; at = e.Cursor {
		if e, err = stream.Recv(); err != nil {
			t.Fatal(err)
		}
	}
	next := w.saver.log.text("d1", "x")
	if stream, err = center.Events(withKey(t.Context(), w.op), &api.EventsRequest{Product: "demo", Cursor: at}); err != nil {
		t.Fatal(err)
	}
	if read(21); got[20] != next {
		t.Errorf("behind the cursor: %s, not %s", got[20], next)
	}
}

// TestEventsWithoutASaver: only "now" needs one; the others wait for it.
func TestEventsWithoutASaver(t *testing.T) {
	w := quick(t, nil)
	down := code.Errorf(code.Unavailable, "the ledger is away")
	w.saver.set(func() { w.saver.down = down })
	w.call(w.op, "GET", "/v1/events?product=demo", "").failed(t, code.Unavailable, "")
	id := w.saver.log.text("d1", "hi")
	s := w.follow(w.op, "?product=demo&since=1m", "")
	s.until(func(b block) bool { return b.comment == "saver away, going on when it is back" })
	w.saver.set(func() { w.saver.down = nil })
	if e := s.event(); e.ID != id {
		t.Errorf("%+v", e)
	}
	w.views.Set(cluster.NewView(2, nil))
	w.call(w.op, "GET", "/v1/events?product=demo", "").failed(t, code.Unavailable, "")
	if n := metric(t, w.proms, "longlink_center_event_failures_total"); n < 2 {
		t.Errorf("%v failures are counted", n)
	}
	w.following(1)
}

// TestEventsMoveOnToAnotherSaver and back, and lose nothing.
func TestEventsMoveOnToAnotherSaver(t *testing.T) {
	w := quick(t, nil)
	second := newFakeSaver()
	second.log = w.saver.log
	v := w.views.View()
	w.views.Set(cluster.NewView(2, append(v.All(), w.serve(cluster.Saver, "saver-2", registerSaver(second)))))
	s := w.follow(w.op, "?product=demo", "")
	s.next()
	down := code.Errorf(code.Unavailable, "stopped")
	for _, dead := range []*fakeSaver{w.saver, second, w.saver} {
		dead.set(func() { dead.down = down })
		id := w.saver.log.text("d1", "hi")
		if e := s.event(); e.ID != id {
			t.Fatalf("%+v", e)
		}
		dead.set(func() { dead.down = nil })
	}
}

// TestOneBrokenPartitionDoesNotStopTheOthers.
func TestOneBrokenPartitionDoesNotStopTheOthers(t *testing.T) {
	w := quick(t, nil)
	s := w.follow(w.op, "?product=demo", "")
	s.next()
	bad := int(slot.Tag(slot.Of("bad")))
	var good []string // devices of partitions all around
	for i := range 20 {
		if d := fmt.Sprint("good-", i); int(slot.Tag(slot.Of(d))) != bad {
			good = append(good, d)
		}
	}
	broken := true
	w.saver.log.set(func() { w.saver.log.broken = func(part int) bool { return broken && part == bad } })
	late := w.saver.log.text("bad", "x")
	want := map[string]bool{}
	for _, d := range good {
		want[w.saver.log.text(d, "x")] = true
	}
	for len(want) > 0 {
		e := s.event()
		if !want[e.ID] {
			t.Fatalf("%+v", e)
		}
		delete(want, e.ID)
	}
	w.saver.log.set(func() { broken = false })
	if e := s.event(); e.ID != late {
		t.Errorf("%+v", e)
	}
}

func TestEventsBadQuery(t *testing.T) {
	w := quick(t, nil)
	for query, field := range map[string]string{
		"?product=demo&since=yesterday": "since", "?product=demo&since=-1s": "since", "?product=demo&after=1": "after", "?product=demo&product=demo": "product",
		"?product=demo&cursor=" + strings.Repeat("A", 5000): "cursor", "?product=demo&kind=" + strings.Repeat("k", 65): "kind", "": "product",
	} {
		w.call(w.op, "GET", "/v1/events"+query, "").failed(t, code.InvalidArgument, field)
	}
	w.call(w.op, "GET", "/v1/events?product=nope", "").failed(t, code.UnknownProduct, "product")
	w.call(w.op, "POST", "/v1/events?product=demo", "").failed(t, code.InvalidArgument, "method")
	_, res := w.followOn(http.DefaultClient, w.op, "?product=demo", "garbage")
	if res.StatusCode != 400 {
		t.Errorf("a bad Last-Event-ID: %d", res.StatusCode)
	}
	stream, err := api.NewCenterClient(w.dial()).Events(withKey(t.Context(), w.op), &api.EventsRequest{Product: "a\xff"})
	if err == nil {
		_, err = stream.Recv()
	}
	if e := rpc.FromStatus(err); e == nil || e.Code == code.OK {
		t.Errorf("a product that is not UTF-8: %v", err)
	}
	w.following(0)
}
