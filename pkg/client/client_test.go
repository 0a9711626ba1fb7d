package client

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"longlink/pkg/code"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// center answers each call with the next of its answers; the last one repeats.
type center struct {
	mu      sync.Mutex
	answers []string // status and body: "200 {}"; "break" breaks the connection
	calls   []string // method, path, body
}

func (c *center) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	c.mu.Lock()
	c.calls = append(c.calls, strings.TrimSpace(r.Method+" "+r.URL.RequestURI()+" "+string(b)))
	a := c.answers[0]
	if len(c.answers) > 1 {
		c.answers = c.answers[1:]
	}
	c.mu.Unlock()
	if r.Header.Get("Authorization") != "Bearer key" {
		a = `401 {"error":{"code":"UNAUTHENTICATED","message":"who?"}}`
	}
	if a == "break" {
		panic(http.ErrAbortHandler)
	}
	status, body, _ := strings.Cut(a, " ")
	w.Header().Set("X-Request-Id", "req-1")
	w.WriteHeader(map[string]int{"200": 200, "201": 201, "204": 204, "400": 400, "401": 401, "404": 404, "409": 409, "429": 429, "500": 500, "503": 503}[status])
	_, _ = io.WriteString(w, body)
}

// seen are the calls that came.
func (c *center) seen() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.calls)
}

func start(t *testing.T, answers ...string) (*Client, *center) {
	t.Helper()
	c := &center{answers: answers}
	srv := httptest.NewServer(c)
	t.Cleanup(srv.Close)
	h := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{}}
	t.Cleanup(h.CloseIdleConnections)
	client, err := New(Config{Center: srv.URL + "/", APIKey: "key", HTTP: h})
	if err != nil {
		t.Fatal(err)
	}
	return client, c
}

func fail(name string, retryMS int) string {
	b, _ := json.Marshal(map[string]any{"error": map[string]any{"code": name, "message": "m", "retry_after_ms": retryMS}})
	c, _ := code.Lookup(name)
	return map[int]string{404: "404", 409: "409", 429: "429", 500: "500", 503: "503"}[c.HTTP()] + " " + string(b)
}

const pushed = `200 {"id":"m1","results":[{"device":"d","seq":7,"state":"sent"}]}`

// TestRepetition: what is tried again, by the error and by whether a second
// call does harm.
func TestRepetition(t *testing.T) {
	text := "hi"
	push := func(c *Client) error {
		_, err := c.Push(t.Context(), PushRequest{Product: "p", Device: "d", Text: &text})
		return err
	}
	zero := 0
	once := func(c *Client) error {
		_, err := c.Push(t.Context(), PushRequest{Product: "p", Device: "d", Text: &text, QoS: &zero})
		return err
	}
	create := func(c *Client) error { _, err := c.CreateProduct(t.Context(), "p"); return err }
	for _, c := range []struct {
		name   string
		call   func(*Client) error
		answer string
		calls  int
	}{
		{"push, unknown", push, fail("UNKNOWN", 0), 2},
		{"push, busy", push, fail("RATE_LIMITED", 1), 2},
		{"push, away", push, fail("UNAVAILABLE", 1), 2},
		{"push, no answer", push, "break", 2},
		{"push, a long hint", push, fail("INBOX_FULL", 30000), 1},
		{"push, our fault", push, fail("UNKNOWN_PRODUCT", 0), 1},
		{"push, a code from the future", push, `503 {"error":{"code":"NEW_CODE","retry_after_ms":1}}`, 2},
		{"qos 0, away", once, fail("UNAVAILABLE", 1), 1},
		{"qos 0, no answer", once, "break", 1},
		{"qos 0, refused", once, fail("RATE_LIMITED", 1), 2},
		{"create, away", create, fail("UNAVAILABLE", 1), 1},
		{"create, refused", create, fail("RATE_LIMITED", 1), 2},
		{"create, no answer", create, "break", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			client, srv := start(t, c.answer, pushed)
			err := c.call(client)
			calls := srv.seen()
			if len(calls) != c.calls || (err == nil) != (c.calls == 2) {
				t.Errorf("%d calls, %v", len(calls), err)
			}
			if len(calls) == 2 && calls[0] != calls[1] {
				t.Errorf("the repetition differs: %q", calls)
			}
		})
	}
}

func TestPushMakesADedupID(t *testing.T) {
	client, srv := start(t, pushed)
	text := "hi"
	for _, r := range []PushRequest{{Text: &text}, {Text: &text, DedupID: "mine"}} {
		if out, err := client.Push(t.Context(), r); err != nil || out.ID != "m1" || out.Results[0].Seq != 7 {
			t.Fatal(out, err)
		}
	}
	zero := 0
	if _, err := client.Push(t.Context(), PushRequest{Text: &text, QoS: &zero}); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, c := range srv.seen() {
		var b struct {
			DedupID string `json:"dedup_id"`
		}
		if err := json.Unmarshal([]byte(c[strings.Index(c, "{"):]), &b); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, b.DedupID)
	}
	if len(ids[0]) != 26 || ids[1] != "mine" || ids[2] != "" {
		t.Errorf("%q", ids)
	}
}

func TestErrors(t *testing.T) {
	client, _ := start(t, `400 {"error":{"code":"INVALID_ARGUMENT","message":"must be short","field":"ttl"}}`)
	err := client.DeleteProduct(t.Context(), "p")
	var e *Error
	var ce *code.Error
	if !errors.As(err, &e) || e.Status != 400 || e.RequestID != "req-1" || !errors.As(err, &ce) || ce.Field != "ttl" || CodeOf(err) != code.InvalidArgument {
		t.Errorf("%#v", err)
	}
	if got, want := err.Error(), "INVALID_ARGUMENT: ttl: must be short (request req-1)"; got != want {
		t.Errorf("%q", got)
	}
	r := ResultError{Code: "INBOX_FULL", Message: "m", RetryAfterMS: 5}
	if e := r.Err(); e.Code != code.InboxFull || e.Retry != 5*time.Millisecond {
		t.Errorf("%v", e)
	}
	client, _ = start(t, "404 <html>")
	if err := client.DeleteProduct(t.Context(), "p"); CodeOf(err) != code.Malformed || !strings.Contains(err.Error(), "is this address a center?") {
		t.Errorf("%v", err)
	}
	client, _ = start(t, "200 <html>")
	if _, err := client.Devices(t.Context(), "d"); err == nil || CodeOf(err) != code.Internal {
		t.Errorf("%v", err)
	}
	for _, bad := range []string{"", "127.0.0.1:7200", "ftp://x", "http://", "http://a b"} {
		if _, err := New(Config{Center: bad}); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestAnUnreachableCenterIsNamed(t *testing.T) {
	h := &http.Client{Transport: &http.Transport{}}
	client, err := New(Config{Center: "http://127.0.0.1:1", Tries: 1, HTTP: h})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Services(t.Context()); err == nil || !strings.Contains(err.Error(), "127.0.0.1:1 cannot be reached") {
		t.Errorf("%v", err)
	}
}

// A center that took the call and died is not said to be unreachable: the call
// may have been done.
func TestACenterThatDoesNotAnswerIsNamed(t *testing.T) {
	client, _ := start(t, "break")
	text := "x"
	_, err := client.Push(t.Context(), PushRequest{Product: "p", Device: "d", Text: &text})
	if err == nil || !strings.Contains(err.Error(), "did not answer") || !strings.Contains(err.Error(), "may have been done") {
		t.Errorf("%v", err)
	}
}

func TestContextEndsRepetition(t *testing.T) {
	client, _ := start(t, fail("UNAVAILABLE", 1900))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	begin := time.Now()
	_, err := client.Services(ctx)
	if CodeOf(err) != code.Unavailable || time.Since(begin) > time.Second {
		t.Errorf("after %s: %v", time.Since(begin), err)
	}
}

func TestCalls(t *testing.T) {
	client, srv := start(t,
		`200 {"device":"d","state":"online","bindings":[{"product":"p","tags":["t"],"pending":3}]}`,
		`200 {"devices":[{"device":"d"},{"device":"e"}]}`,
		`200 {"state":"kicked"}`,
		`200 {"services":[{"kind":"room","id":"r","figures":{"connections":2}}]}`,
		`200 {"products":[{"name":"a"}],"next_cursor":"a"}`, `200 {"products":[{"name":"b"}]}`,
		`200 {"name":"a","key_ids":["k"]}`,
		`201 {"name":"p","api_key":"k","grant_secret":"s","grant_kid":"i"}`,
		`200 {"name":"p","api_key":"k2"}`,
		`204 `,
		`201 {"token":"t","expires":"2026-01-01T00:00:00.000Z"}`,
		`200 {"changed":true}`, `200 {"changed":false}`,
		`200 {"product":"p","alias":"a","devices":[{"device":"d","created":"c"}],"next_cursor":"d"}`, `200 {"devices":[{"device":"e","created":"c"}]}`,
		`200 {"id":"m","recalled":1,"targets":2}`,
		`200 {"id":"m","targets":[{"product":"p","device":"d","seq":7,"state":"acked"}],"events":[{"time":"t","stage":"accepted","node":"center-1"}],"silent":["room-1"]}`,
		`200 {"rooms":[{"id":"r","state":"ready","capacity":5}],"next_cursor":"r"}`, `200 {"rooms":[{"id":"s"}]}`,
		`200 {"rooms":[{"id":"r"}],"next_cursor":"x"}`, `200 {"rooms":[{"id":"r"}],"next_cursor":"x"}`)
	ctx := t.Context()
	check := func(ok bool, err error, got any) {
		t.Helper()
		if !ok || err != nil {
			t.Errorf("%+v, %v", got, err)
		}
	}
	d, err := client.Device(ctx, "d")
	check(d.State == "online" && d.Bindings[0].Pending == 3, err, d)
	list, err := client.Devices(ctx, "d", "e")
	check(len(list) == 2, err, list)
	state, err := client.Kick(ctx, "d", "why")
	check(state == "kicked", err, state)
	services, err := client.Services(ctx)
	check(len(services) == 1 && services[0].Figures["connections"] == 2, err, services)
	products, err := client.Products(ctx)
	check(len(products) == 2, err, products)
	product, err := client.Product(ctx, "a")
	check(product.KeyIDs[0] == "k", err, product)
	key, err := client.CreateProduct(ctx, "p")
	check(key.GrantSecret == "s", err, key)
	key, err = client.RotateProductKey(ctx, "p")
	check(key.APIKey == "k2", err, key)
	check(true, client.DeleteProduct(ctx, "p"), nil)
	tok, err := client.CreateToken(ctx, TokenRequest{Device: "d", Products: []string{"p"}, TTL: "1h"})
	check(tok.Token == "t", err, tok)
	changed, err := client.AddAlias(ctx, "p", "a", "d")
	check(changed, err, changed)
	changed, err = client.RemoveAlias(ctx, "", "a", "d")
	check(!changed, err, changed)
	members, err := client.Alias(ctx, "p", "a")
	check(len(members) == 2 && members[1].Device == "e", err, members)
	recalled, err := client.Recall(ctx, "p", "m")
	check(recalled == Recalled{"m", 1, 2}, err, recalled)
	trace, err := client.Trace(ctx, "", "m")
	check(trace.Targets[0].Seq == 7 && trace.Events[0].Stage == "accepted" && trace.Silent[0] == "room-1", err, trace)
	rooms, err := client.Rooms(ctx)
	check(len(rooms) == 2 && rooms[0].Capacity == 5, err, rooms)
	if rooms, err = client.Rooms(ctx); err == nil || !strings.Contains(err.Error(), "same cursor") {
		t.Errorf("a list without an end: %v, %v", rooms, err)
	}
	want := []string{
		"GET /v1/devices/d", `POST /v1/devices:query {"devices":["d","e"]}`, `POST /v1/devices/d:kick {"reason":"why"}`, "GET /v1/services",
		"GET /v1/products?limit=100", "GET /v1/products?cursor=a&limit=100", "GET /v1/products/a", `POST /v1/products {"name":"p"}`,
		"POST /v1/products/p:rotate-key {}", "DELETE /v1/products/p", `POST /v1/tokens {"device":"d","products":["p"],"ttl":"1h"}`,
		"PUT /v1/aliases/a/devices/d?product=p", "DELETE /v1/aliases/a/devices/d",
		"GET /v1/aliases/a?limit=100&product=p", "GET /v1/aliases/a?cursor=d&limit=100&product=p",
		"DELETE /v1/messages/m?product=p", "GET /v1/messages/m/trace",
		"GET /v1/rooms?limit=100", "GET /v1/rooms?cursor=r&limit=100", "GET /v1/rooms?limit=100", "GET /v1/rooms?cursor=x&limit=100",
	}
	if calls := srv.seen(); !slices.Equal(calls, want) {
		t.Errorf("called\n%s", strings.Join(calls, "\n"))
	}
}
