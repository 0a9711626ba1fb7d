package dispatcher

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"longlink/pkg/cluster"
)

func host(addr string) string { h, _, _ := net.SplitHostPort(addr); return h }
func port(addr string) string { _, p, _ := net.SplitHostPort(addr); return p }

func TestAnswer(t *testing.T) {
	w := start(t, nil, rooms(5)...)
	var a Answer
	w.ask(t, http.MethodGet, "/v1/rooms?device=d1&network=wifi&transport=tcp&sdk=9.9", &a)
	if len(a.Rooms) != 3 || a.TTL != 600 || a.Heartbeat != (Heartbeat{60, 480, 300}) || a.Backoff != (Backoff{1000, 120000, 0.5}) {
		t.Errorf("%+v", a)
	}
	hosts, ports := map[string]bool{}, map[string]bool{}
	for _, r := range a.Rooms {
		hosts[host(r.Addr)], ports[port(r.Addr)] = true, true
		if r.IDC != "a" || r.Transport != "tcp" {
			t.Errorf("%+v", r)
		}
	}
	if len(hosts) != 3 || len(ports) != 2 {
		t.Errorf("%d rooms and %d ports in %v", len(hosts), len(ports), a.Rooms)
	}
	for _, n := range []string{"", "5g", "4g", "3g", "2g"} {
		if w.ask(t, http.MethodGet, "/v1/rooms?device=d1&network="+n, &a); a.Heartbeat != (Heartbeat{60, 300, 300}) {
			t.Errorf("network %q: %+v", n, a.Heartbeat)
		}
	}
	if n := count(t, w.metrics.requests.WithLabelValues("OK")); n != 6 {
		t.Errorf("%v requests counted", n)
	}
}

func TestSameDeviceSameGroup(t *testing.T) {
	all := rooms(8)
	w := start(t, nil, all...)
	before := map[string][]string{}
	homes := map[string]int{}
	for i := range 200 {
		d := fmt.Sprintf("d%d", i)
		before[d] = w.group(t, d)
		homes[host(before[d][0])]++
	}
	if len(homes) != 8 {
		t.Errorf("devices went to %d of 8 rooms", len(homes))
	}
	// One room drains: only its devices move.
	all[0].State = cluster.Draining
	w.views.Set(cluster.NewView(2, all))
	for d, old := range before {
		now := w.group(t, d)
		if slices.ContainsFunc(now, func(a string) bool { return host(a) == "10.0.0.1" }) {
			t.Fatalf("%s is sent to a draining room: %v", d, now)
		}
		if host(old[0]) != "10.0.0.1" && now[0] != old[0] {
			t.Errorf("%s moved from %s to %s", d, old[0], now[0])
		}
	}
	// And back.
	all[0].State = cluster.Ready
	w.views.Set(cluster.NewView(3, all))
	for d, old := range before {
		if now := w.group(t, d); !slices.Equal(now, old) {
			t.Errorf("%s: %v became %v", d, old, now)
		}
	}
}

func TestFailedAddresses(t *testing.T) {
	w := start(t, nil, rooms(2)...)
	first := w.group(t, "d")
	if len(first) != 3 || host(first[0]) == host(first[1]) || port(first[0]) == port(first[1]) {
		t.Fatalf("%v", first)
	}
	next := w.group(t, "d", first[0])
	if slices.Contains(next, first[0]) || host(next[0]) == host(first[0]) || len(next) != 3 {
		t.Errorf("after %s failed: %v", first[0], next)
	}
	all := []string{"10.0.0.1:7001", "10.0.0.1:7002", "10.0.0.2:7001", "10.0.0.2:7002"}
	if got := w.group(t, "d", strings.Join(all[:3], ",")); !slices.Equal(got, all[3:]) {
		t.Errorf("one is left, got %v", got)
	}
	if got := w.group(t, "d", all...); len(got) != 3 {
		t.Errorf("nothing is left, got %v", got)
	}
	if got := w.group(t, "d", "192.0.2.1:1", "[2001:db8::1]:7001"); !slices.Equal(got, first) {
		t.Errorf("strange addresses changed the group: %v", got)
	}
}

func TestOtherIDC(t *testing.T) {
	all := rooms(6)
	all = append(all, aRoom(7, "b", cluster.Ready), aRoom(8, "b", cluster.Draining))
	w := start(t, nil, all...)
	for i := range 50 {
		d := fmt.Sprintf("d%d", i)
		got := w.group(t, d)
		if !slices.ContainsFunc(got, func(a string) bool { return host(a) == "10.0.0.7" }) {
			t.Errorf("%s has nothing in the other IDC: %v", d, got)
		}
		if host(got[0]) == "10.0.0.7" {
			continue
		}
		if next := w.group(t, d, got[0]); host(next[0]) != "10.0.0.7" {
			t.Errorf("%s: after a failure in a the answer must lean to b: %v", d, next)
		}
	}
}

func TestGroupSizes(t *testing.T) {
	for n, want := range map[int]int{1: 1, 2: 2, 3: 2, 8: 2} {
		w := start(t, func(c *Config) { c.Group = n }, rooms(1)...)
		got := w.group(t, "d")
		if len(got) != want || (want == 2 && got[0] == got[1]) {
			t.Errorf("group of %d from one room with two ports: %v", n, got)
		}
	}
	one := cluster.Instance{Kind: cluster.Room, ID: "x", State: cluster.Ready}
	w := start(t, nil, append(rooms(1), one)...) // a room without addresses
	if got := w.group(t, "d"); len(got) != 2 {
		t.Errorf("%v", got)
	}
}

func TestBadRequests(t *testing.T) {
	w := start(t, nil, rooms(1)...)
	many := strings.TrimSuffix(strings.Repeat("10.0.0.1:1,", 33), ",")
	for _, c := range []struct {
		method, path string
		status       int
		code, field  string
	}{
		{"GET", "/v1/rooms", 400, "INVALID_ARGUMENT", "device"},
		{"GET", "/v1/rooms?device=a%20b", 400, "INVALID_ARGUMENT", "device"},
		{"GET", "/v1/rooms?device=" + strings.Repeat("a", 65), 400, "INVALID_ARGUMENT", "device"},
		{"GET", "/v1/rooms?device=d&network=6g", 400, "INVALID_ARGUMENT", "network"},
		{"GET", "/v1/rooms?device=d&transport=udp", 400, "INVALID_ARGUMENT", "transport"},
		{"GET", "/v1/rooms?device=d&failed=here", 400, "INVALID_ARGUMENT", "failed"},
		{"GET", "/v1/rooms?device=d&failed=a:0", 400, "INVALID_ARGUMENT", "failed"},
		{"GET", "/v1/rooms?device=d&failed=a:65536", 400, "INVALID_ARGUMENT", "failed"},
		{"GET", "/v1/rooms?device=d&failed=" + many, 400, "INVALID_ARGUMENT", "failed"},
		{"GET", "/v1/rooms?device=%zz", 400, "INVALID_ARGUMENT", "query"},
		{"GET", "/v1/rooms?device=d;network=wifi", 400, "INVALID_ARGUMENT", "query"},
		{"POST", "/v1/rooms?device=d", 405, "INVALID_ARGUMENT", "method"},
		{"GET", "/", 404, "NOT_FOUND", ""},
		{"GET", "/v1/rooms/", 404, "NOT_FOUND", ""},
	} {
		var e errorBody
		resp := w.ask(t, c.method, c.path, &e)
		if resp.StatusCode != c.status || e.Error.Code != c.code || e.Error.Field != c.field || e.Error.Message == "" {
			t.Errorf("%s %.60s: %s %+v", c.method, c.path, resp.Status, e.Error)
		}
		if c.status == 405 && resp.Header.Get("Allow") == "" {
			t.Error("405 without Allow")
		}
	}
}

func TestNoRooms(t *testing.T) {
	w := start(t, nil, aRoom(1, "a", cluster.Draining))
	if w.Check(t.Context()) == nil {
		t.Error("ready without a room")
	}
	var e errorBody
	resp := w.ask(t, "GET", "/v1/rooms?device=d", &e)
	after := resp.Header.Get("Retry-After")
	if resp.StatusCode != 503 || e.Error.Code != "UNAVAILABLE" || e.Error.RetryAfterMS < 1000 || e.Error.RetryAfterMS >= 3000 || (after != "1" && after != "2" && after != "3") {
		t.Errorf("%s, Retry-After %q, %+v", resp.Status, after, e.Error)
	}
	w.views.Set(cluster.NewView(2, rooms(1)))
	if got := w.group(t, "d"); len(got) != 2 {
		t.Errorf("%v", got)
	}
	if err := w.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestListenErrorNamesItsKey(t *testing.T) {
	w := start(t, nil)
	s := &Service{cfg: Config{Listen: w.Addresses()[0]}}
	if err := s.Listen(); err == nil || !strings.Contains(err.Error(), "dispatcher.listen") || !strings.Contains(err.Error(), w.Addresses()[0]) {
		t.Errorf("%v", err)
	}
	s = &Service{cfg: Config{Listen: "nowhere"}}
	if err := s.Listen(); err == nil || !strings.Contains(err.Error(), "dispatcher.listen") {
		t.Errorf("%v", err)
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	w := start(t, func(c *Config) { c.MaxConnections = 2 }, rooms(1)...)
	dial := func() net.Conn {
		c, err := net.Dial("tcp", w.Addresses()[0])
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	served := func(c net.Conn) bool {
		if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, "GET /v1/rooms?device=d HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			return false
		}
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == 200
	}
	a, b := dial(), dial()
	if !served(a) || !served(b) {
		t.Fatal("two connections must be served")
	}
	if served(dial()) {
		t.Error("a third one was served")
	}
	a.Close()
	deadline := time.Now().Add(10 * time.Second)
	for !served(dial()) {
		if time.Now().After(deadline) {
			t.Fatal("no place became free")
		}
	}
	if count(t, w.metrics.refused) == 0 {
		t.Error("refusals were not counted")
	}
}

func TestStopEndsIdleConnections(t *testing.T) {
	w := start(t, nil, rooms(1)...)
	c, err := net.Dial("tcp", w.Addresses()[0])
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "GET /v1/ro"); err != nil { // half a request and silence
		t.Fatal(err)
	}
	began := time.Now()
	if err := w.stop(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("the stop took %v", took)
	}
}

func BenchmarkGroup(b *testing.B) {
	f := newFleet(cluster.NewView(1, rooms(250)), nil)
	for i := 0; b.Loop(); i++ {
		f.group(fmt.Sprintf("d%d", i), nil, 3)
	}
}
