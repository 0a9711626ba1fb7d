package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// call is one request as curl would send it, and what its answer is like.
type call struct {
	api    string // METHOD and path as /openapi.yaml names them
	path   string // the real one, with its query
	key    string // O: the operator's, P: the product's, empty: none
	body   string
	status int
	want   string // pattern that the body has
	save   string // name for the first group of the pattern
}

// everyCall makes every call that /openapi.yaml lists, with both keys where both
// may, and fails when one of the list is not made.
func everyCall(t *testing.T, s *Site) {
	key := product(t, s, "corner")
	other := product(t, s, "other")
	d := s.Device(t, "bell-1", "--product", "corner", "--send", "ring=twice")
	d.Start()
	d.AwaitConnected()
	d.Await("stored", 1)
	known := map[string]string{}
	done := map[string]bool{}
	client := &http.Client{Timeout: 30 * time.Second}
	for _, c := range []call{
		{"POST /v1/push", "/v1/push", "P", `{"product":"corner","device":"bell-1","text":"one","wait":"10s"}`, 200, `"id":"(.+?)".*"state":"acked"`, "ID"},
		{"POST /v1/push", "/v1/push", "O", `{"product":"corner","devices":["bell-1","bell-2"],"json":{"n":1},"data":{"k":"v"},"ttl":"1h"}`, 200, `"device":"bell-1".*"device":"bell-2"`, ""},
		{"POST /v1/push", "/v1/push", "P", `{"product":"corner","device":"bell-1","payload":"AAEC","colour":"red"}`, 400, `"code":"[A-Z_]+".*colour`, ""},
		{"POST /v1/push", "/v1/push", "P", `{"product":"other","device":"bell-1","text":"x"}`, 403, `"PERMISSION_DENIED"`, ""},
		{"POST /v1/push", "/v1/push", "", `{"product":"corner","device":"bell-1","text":"x"}`, 401, `"UNAUTHENTICATED"`, ""},
		{"POST /v1/push", "/v1/push", "P", `{"product":"corner","alias":"dora","text":"x"}`, 404, `"NOT_FOUND".*"field":"alias"`, ""},
		{"PUT /v1/aliases/{alias}/devices/{device}", "/v1/aliases/dora/devices/bell-1", "P", "", 200, `"changed":true`, ""},
		{"PUT /v1/aliases/{alias}/devices/{device}", "/v1/aliases/dora/devices/bell-2?product=corner", "O", "", 200, `"changed":true`, ""},
		{"PUT /v1/aliases/{alias}/devices/{device}", "/v1/aliases/dora/devices/bell-2", "O", "", 400, `"field":"product"`, ""},
		{"PUT /v1/aliases/{alias}/devices/{device}", "/v1/aliases/dora/devices/bell-2?product=other", "P", "", 403, `"PERMISSION_DENIED"`, ""},
		{"GET /v1/aliases/{alias}", "/v1/aliases/dora?limit=1", "P", "", 200, `"alias":"dora".*"device":"bell-1".*"next_cursor":"(.+?)"`, "CURSOR"},
		{"GET /v1/aliases/{alias}", "/v1/aliases/dora?cursor=$CURSOR", "P", "", 200, `"devices":\[\{"device":"bell-2","created":"[^"]+"\}\]`, ""},
		{"GET /v1/aliases/{alias}", "/v1/aliases/nobody?product=corner", "O", "", 200, `"devices":\[\]`, ""},
		{"POST /v1/push:batch", "/v1/push:batch", "P", `{"messages":[{"product":"corner","alias":"dora","text":"a"},{"product":"corner","device":"bell 1","text":"b"}]}`, 200, `"device":"bell-1".*"device":"bell-2".*"INVALID_ARGUMENT"`, ""},
		{"DELETE /v1/aliases/{alias}/devices/{device}", "/v1/aliases/dora/devices/bell-2", "P", "", 200, `"changed":true`, ""},
		{"DELETE /v1/aliases/{alias}/devices/{device}", "/v1/aliases/dora/devices/bell-2?product=corner", "O", "", 200, `"changed":false`, ""},
		{"GET /v1/messages/{id}/trace", "/v1/messages/$ID/trace", "P", "", 200, `"targets":\[\{"product":"corner","device":"bell-1","seq":\d+,"state":"\w+".*"stage":"accepted".*"stage":"acknowledged"`, ""},
		{"GET /v1/messages/{id}/trace", "/v1/messages/$ID/trace?product=corner", "O", "", 200, `"stage":"stored"`, ""},
		{"GET /v1/messages/{id}/trace", "/v1/messages/$ID/trace", "X", "", 404, `"NOT_FOUND"`, ""},
		{"DELETE /v1/messages/{id}", "/v1/messages/$ID", "X", "", 404, `"NOT_FOUND"`, ""},
		{"POST /v1/push", "/v1/push", "P", `{"product":"corner","device":"bell-3","text":"wrong"}`, 200, `"id":"(.+?)"`, "WRONG"},
		{"DELETE /v1/messages/{id}", "/v1/messages/$WRONG", "P", "", 200, `"recalled":1,"targets":1`, ""},
		{"DELETE /v1/messages/{id}", "/v1/messages/nobody-knows", "O", "", 404, `"NOT_FOUND"`, ""},
		{"GET /v1/devices/{id}", "/v1/devices/bell-1", "P", "", 200, `"state":"online".*"product":"corner"`, ""},
		{"GET /v1/devices/{id}", "/v1/devices/bell-9", "O", "", 200, `"state":"offline"`, ""},
		{"POST /v1/devices:query", "/v1/devices:query", "O", `{"devices":["bell-1","bell-9"]}`, 200, `"online".*"offline"`, ""},
		{"GET /v1/events", "/v1/events?since=1m&kind=ring", "P", "", 200, `data: .*"device":"bell-1".*"text":"twice"`, ""},
		{"GET /v1/events", "/v1/events?since=1m&product=corner", "O", "", 200, `"kind":"ring"`, ""},
		{"GET /v1/events", "/v1/events", "O", "", 400, `"field":"product"`, ""},
		{"GET /v1/events", "/v1/events?cursor=rubbish", "P", "", 400, `"field":"cursor"`, ""},
		{"GET /v1/rooms", "/v1/rooms?limit=5", "O", "", 200, `"rooms":\[\{"id":"room-`, ""},
		{"GET /v1/rooms", "/v1/rooms", "P", "", 403, `"PERMISSION_DENIED"`, ""},
		{"GET /v1/services", "/v1/services?kind=room", "O", "", 200, `"kind":"room"`, ""},
		{"POST /v1/tokens", "/v1/tokens", "O", `{"device":"bell-1","products":["corner"],"aliases":{"corner":"dora"},"ttl":"1h"}`, 201, `"token":"\w+\.`, ""},
		{"POST /v1/products", "/v1/products", "O", `{"name":"shed"}`, 201, `"api_key":"ll_`, ""},
		{"GET /v1/products", "/v1/products?limit=1", "O", "", 200, `"products":\[\{"name":`, ""},
		{"GET /v1/products/{id}", "/v1/products/shed", "O", "", 200, `"key_ids":\["`, ""},
		{"POST /v1/products/{id}:rotate-key", "/v1/products/shed:rotate-key", "O", "", 200, `"api_key":"ll_`, ""},
		{"DELETE /v1/products/{id}", "/v1/products/shed", "O", "", 204, ``, ""},
		{"GET /openapi.yaml", "/openapi.yaml", "", "", 200, `^openapi: 3`, ""},
		{"POST /v1/devices/{id}:kick", "/v1/devices/bell-1:kick", "P", "", 200, `"unbound"`, ""},
		{"POST /v1/devices/{id}:kick", "/v1/devices/bell-1:kick", "O", `{"reason":"enough"}`, 200, `"kicked"`, ""},
	} {
		done[c.api] = true
		path := expand(c.path, known)
		status, body := request(t, client, s.Centers[0], map[string]string{"O": s.OpKey, "P": key, "X": other}[c.key], strings.Fields(c.api)[0], path, c.body, c.want)
		m := regexp.MustCompile(`(?s)` + c.want).FindStringSubmatch(body)
		if status != c.status || m == nil {
			t.Errorf("%s %s with key %q: %d %s, want %d %s", strings.Fields(c.api)[0], path, c.key, status, body, c.status, c.want)
			continue
		}
		if c.save != "" {
			known[c.save] = m[1]
		}
		if status >= 400 {
			var e struct {
				Error struct{ Code, Message string }
			}
			if err := json.Unmarshal([]byte(body), &e); err != nil || e.Error.Code == "" || e.Error.Message == "" {
				t.Errorf("%s: no error object: %s", path, body)
			}
		}
	}
	d.Stop()
	listed := listedCalls(t, client, s.Centers[0])
	for _, l := range listed {
		if !done[l] {
			t.Errorf("/openapi.yaml lists %s, and no call above makes it", l)
		}
	}
	for d := range done {
		if !slices.Contains(listed, d) {
			t.Errorf("/openapi.yaml does not list %s", d)
		}
	}
}

// request makes one call. Of a stream it reads until the pattern is there.
func request(t *testing.T, c *http.Client, center, key, method, path, body, until string) (status int, answer string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, center+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	res, err := c.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer res.Body.Close()
	if !strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatalf("%s %s: %v", method, path, err)
		}
		return res.StatusCode, string(b)
	}
	pattern := regexp.MustCompile(`(?s)` + until)
	var b strings.Builder
	part := make([]byte, 4096)
	for !pattern.MatchString(b.String()) {
		n, err := res.Body.Read(part)
		b.Write(part[:n])
		if err != nil {
			return res.StatusCode, fmt.Sprintf("%s (%v)", b.String(), err)
		}
	}
	return res.StatusCode, b.String()
}

// listedCalls are the methods and paths of /openapi.yaml, which needs no key.
func listedCalls(t *testing.T, c *http.Client, center string) (out []string) {
	t.Helper()
	status, body := request(t, c, center, "", http.MethodGet, "/openapi.yaml", "", "")
	var file struct {
		Paths map[string]map[string]any `yaml:"paths"`
	}
	if err := yaml.Unmarshal([]byte(body), &file); status != 200 || err != nil {
		t.Fatalf("/openapi.yaml: %d, %v", status, err)
	}
	for path, methods := range file.Paths {
		for m := range methods {
			if m = strings.ToUpper(m); slices.Contains([]string{"GET", "POST", "PUT", "PATCH", "DELETE"}, m) {
				out = append(out, m+" "+path)
			}
		}
	}
	if len(out) < 15 {
		t.Fatalf("/openapi.yaml lists only %q", out)
	}
	return out
}
