package center

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"longlink/pkg/api"
	"longlink/pkg/code"
	"longlink/pkg/config"
	"longlink/pkg/lifecycle"
	"longlink/pkg/rpc"
)

func contextWithin(t *testing.T, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), d)
}

// followGRPC opens a stream and takes its first message.
func (w *world) followGRPC(key string, r *api.EventsRequest) (api.Center_EventsClient, error) {
	w.t.Helper()
	ctx, cancel := contextWithin(w.t, 20*time.Second)
	w.t.Cleanup(cancel)
	s, err := api.NewCenterClient(w.dial()).Events(withKey(ctx, key), r)
	if err == nil {
		_, err = s.Recv()
	}
	return s, err
}

// last is the error with which a stream ends.
func last(s api.Center_EventsClient) error {
	for {
		if _, err := s.Recv(); err != nil {
			return err
		}
	}
}

// flood fills the log with more than sockets hold.
func (w *world) flood() {
	w.saver.log.set(func() { w.saver.log.page = 16 }) // saver's 1 MiB
	payload := make([]byte, maxPayload)
	for range 400 {
		w.saver.log.add(&api.UpItem{Device: "d1", Product: "demo", Kind: "k", Payload: payload})
	}
}

// TestFollowersAreBounded: of all keys, and of one product's; and they hold no
// place of max_requests.
func TestFollowersAreBounded(t *testing.T) {
	w := quick(t, func(c *Config) { c.MaxRequests, c.Events.MaxFollowers, c.Events.MaxProductFollowers = 1, 3, 1 })
	w.follow(w.keys["demo"], "", "").next()
	a := w.call(w.keys["demo"], "GET", "/v1/events", "")
	if e := a.failed(t, code.RateLimited, ""); e.RetryAfterMS == 0 || a.header.Get("Retry-After") == "" || !strings.Contains(e.Message, "demo") {
		t.Errorf("%s %v", a.body, a.header)
	}
	if _, err := w.followGRPC(w.keys["shop"], &api.EventsRequest{}); err != nil {
		t.Fatal(err)
	}
	s := w.follow(w.op, "?product=demo", "")
	s.next()
	w.call(w.op, "GET", "/v1/events?product=demo", "").failed(t, code.RateLimited, "")
	_, err := w.followGRPC(w.op, &api.EventsRequest{Product: "shop"})
	if e := rpc.FromStatus(err); status.Code(err) != codes.ResourceExhausted || e.RetryMS() == 0 {
		t.Errorf("%v", err)
	}
	w.push(`{"product":"demo","device":"d1","text":"hi"}`)
	s.end()
	w.following(2)
	w.follow(w.op, "?product=shop", "").next()
}

// TestAReaderThatDoesNotReadIsEnded, and costs the others nothing.
func TestAReaderThatDoesNotReadIsEnded(t *testing.T) {
	w := quick(t, nil)
	w.center.server.followers.patience = 2 * time.Second
	w.center.server.followers.ping = 200 * time.Millisecond
	reader := w.follow(w.op, "?product=demo&kind=chat", "")
	reader.next()
	w.follow(w.op, "?product=demo", "")
	if _, err := w.followGRPC(w.op, &api.EventsRequest{Product: "demo"}); err != nil {
		t.Fatal(err)
	}
	w.following(3)
	w.flood()
	id := w.saver.log.text("d2", "hi")
	if e := reader.event(); e.ID != id {
		t.Errorf("%+v", e)
	}
	w.await("the others to be ended", func() bool {
		return w.center.server.followers.count() == 1
	})
	w.await("both calls to be counted", func() bool {
		return metric(t, w.proms, "longlink_center_requests_total", "events", "DEADLINE") == 2
	})
}

// TestStopEndsFollowersAtOnce: those that wait, those whose reader is stuck.
func TestStopEndsFollowersAtOnce(t *testing.T) {
	w := quick(t, func(c *Config) {
		c.StopGrace, c.Events.Poll = config.Duration(time.Minute), config.Duration(5*time.Second)
	})
	s := w.follow(w.op, "?product=shop", "")
	s.next()
	g, err := w.followGRPC(w.op, &api.EventsRequest{Product: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	w.flood()
	w.follow(w.op, "?product=demo&since=1m", "")
	if _, err := w.followGRPC(w.op, &api.EventsRequest{Product: "demo", SinceMs: 60_000}); err != nil {
		t.Fatal(err)
	}
	w.following(4)
	sent, still := 0.0, 0
	w.await("both readers to be stuck", func() bool {
		n := metric(t, w.proms, "longlink_center_events_total")
		if still++; n != sent || n == 0 {
			sent, still = n, 0
		}
		return still == 100
	})
	began := time.Now()
	w.stop()
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("it took %s", took)
	}
	if c := s.ended(); c != "ended: SHUTDOWN this center is stopping" {
		t.Errorf("REST was told %q", c)
	}
	if err := last(g); rpc.FromStatus(err).Code != code.Shutdown {
		t.Errorf("gRPC was told %v", err)
	}
	if n := w.center.server.followers.count(); n != 0 {
		t.Errorf("%d followers are left", n)
	}
	if _, err := w.center.server.followers.join(principal{}); err == nil || err.Code != code.Shutdown {
		t.Errorf("a stopped center takes followers: %v", err)
	}
}

// TestFollowersEndWithTheirKey and with the product.
func TestFollowersEndWithTheirKey(t *testing.T) {
	w := quick(t, nil)
	s := w.follow(w.keys["demo"], "", "")
	g, err := w.followGRPC(w.keys["demo"], &api.EventsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	operator := w.follow(w.op, "?product=demo", "")
	operator.next()
	w.call(w.op, "POST", "/v1/products/demo:rotate-key", "").into(t, &productKeyAnswer{})
	if c := s.ended(); !strings.HasPrefix(c, "ended: UNAUTHENTICATED ") {
		t.Errorf("REST was told %q", c)
	}
	if err := last(g); status.Code(err) != codes.Unauthenticated {
		t.Errorf("gRPC was told %v", err)
	}
	id := w.saver.log.text("d1", "hi")
	if e := operator.event(); e.ID != id {
		t.Errorf("the operator's stream: %+v", e)
	}
	w.dir.mu.Lock()
	again := *w.dir.all["demo"]
	again.Incarnation++
	w.dir.all["demo"] = &again
	w.dir.mu.Unlock()
	if c := operator.ended(); !strings.HasPrefix(c, "ended: UNKNOWN_PRODUCT ") {
		t.Errorf("the operator of a product that was made anew was told %q", c)
	}
	s = w.follow(w.keys["shop"], "", "")
	w.call(w.op, "DELETE", "/v1/products/shop", "")
	if c := s.ended(); !strings.HasPrefix(c, "ended: U") {
		t.Errorf("of a deleted product: %q", c)
	}
	w.following(0)
}

// TestStreamsOutliveTheServersTimeouts, over HTTP/1.1 and over HTTP/2.
func TestStreamsOutliveTheServersTimeouts(t *testing.T) {
	w := quick(t, nil)
	w.center.server.followers.ping = 20 * time.Millisecond
	d := newDoor(w.center.server)
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	short := &http.Server{Handler: d, Protocols: &protocols, ReadTimeout: 100 * time.Millisecond, WriteTimeout: 100 * time.Millisecond}
	g := lifecycle.NewGroup(t.Context(), nil, nil)
	g.Task("short", func(context.Context) error { return short.Serve(l) })
	t.Cleanup(func() { short.Close(); d.drain(); _ = g.Wait() })
	w.url = "http://" + l.Addr().String()
	for _, h2 := range []bool{false, true} {
		var p http.Protocols
		p.SetHTTP1(!h2)
		p.SetUnencryptedHTTP2(h2)
		client := &http.Client{Transport: &http.Transport{Protocols: &p}}
		t.Cleanup(client.CloseIdleConnections)
		s, res := w.followOn(client, w.op, "?product=demo", "")
		if res.StatusCode != 200 || (res.ProtoMajor == 2) != h2 || res.Header.Get("Cache-Control") != "no-store" || res.Header.Get("X-Request-Id") == "" {
			t.Fatalf("%s %v", res.Status, res.Header)
		}
		for began := time.Now(); time.Since(began) < 400*time.Millisecond; {
			s.until(func(b block) bool { return b.comment == "ping" })
		}
		id := w.saver.log.text("d1", "hi")
		if e := s.event(); e.ID != id {
			t.Errorf("%+v", e)
		}
		s.end()
	}
	stream, err := w.followGRPC(w.op, &api.EventsRequest{Product: "demo"})
	for began := time.Now(); err == nil && time.Since(began) < 400*time.Millisecond; {
		_, err = stream.Recv()
	}
	if err != nil {
		t.Errorf("gRPC: %v", err)
	}
}

// TestEventsNeedTheKeyAtTheStart: as every call.
func TestEventsNeedTheKeyAtTheStart(t *testing.T) {
	w := quick(t, nil)
	for _, key := range []string{"", "nonsense"} {
		w.call(key, "GET", "/v1/events?product=demo", "").failed(t, code.Unauthenticated, "")
		if _, err := w.followGRPC(key, &api.EventsRequest{Product: "demo"}); status.Code(err) != codes.Unauthenticated {
			t.Errorf("key %q: %v", key, err)
		}
	}
	if err := w.center.server.follow(t.Context(), &api.EventsRequest{Product: "demo"}, &heldEvents{}); rpc.FromStatus(err).Code != code.Unauthenticated {
		t.Errorf("without a door: %v", err)
	}
}
