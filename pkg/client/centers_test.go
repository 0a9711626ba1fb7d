package client

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// several makes a client of several fake centers; "gone" is one that nobody
// listens for.
func several(t *testing.T, answers ...[]string) (*Client, []*center) {
	t.Helper()
	h := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{}}
	t.Cleanup(h.CloseIdleConnections)
	cfg := Config{APIKey: "key", HTTP: h}
	var all []*center
	for _, a := range answers {
		c := &center{answers: a}
		srv := httptest.NewServer(c)
		t.Cleanup(srv.Close)
		if a[0] == "gone" {
			srv.Close()
		}
		cfg.Centers, all = append(cfg.Centers, srv.URL), append(all, c)
	}
	client, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return client, all
}

const listed = `200 {"services":[]}`

// TestTheNextCenter: who is asked after which answer, and by the next call.
func TestTheNextCenter(t *testing.T) {
	list := func(c *Client) error { _, err := c.Services(t.Context()); return err }
	create := func(c *Client) error { _, err := c.CreateProduct(t.Context(), "p"); return err }
	for _, tc := range []struct {
		name    string
		call    func(*Client) error
		centers [][]string
		calls   []int // that each center got
		ok      bool
		next    int // who is asked next
	}{
		{"the first answers", list, [][]string{{listed}, {listed}}, []int{1, 0}, true, 0},
		{"the first is gone", list, [][]string{{"gone"}, {listed}}, []int{0, 1}, true, 1},
		{"the first breaks off", list, [][]string{{"break"}, {listed}}, []int{1, 1}, true, 1},
		{"the first lacks something", list, [][]string{{fail("UNAVAILABLE", 1900)}, {listed}}, []int{1, 1}, true, 1},
		{"the first stops", list, [][]string{{fail("SHUTDOWN", 1900)}, {listed}}, []int{1, 1}, true, 1},
		{"the first is busy", list, [][]string{{fail("RATE_LIMITED", 1), listed}, {listed}}, []int{2, 0}, true, 0},
		{"our fault", list, [][]string{{fail("NOT_FOUND", 0)}, {listed}}, []int{1, 0}, false, 0},
		{"only the last is there", list, [][]string{{"gone"}, {"gone"}, {"gone"}, {"gone"}, {"gone"}, {"gone"}, {listed}}, []int{0, 0, 0, 0, 0, 0, 1}, true, 6},
		{"the only one comes back", list, [][]string{{fail("UNAVAILABLE", 1), listed}, {"gone"}}, []int{2, 0}, true, 0},
		{"nobody is there", list, [][]string{{"gone"}, {"gone"}}, []int{0, 0}, false, 1},
		{"once only, the first is gone", create, [][]string{{"gone"}, {`201 {"name":"p"}`}}, []int{0, 1}, true, 1},
		{"once only, the first breaks off", create, [][]string{{"break"}, {`201 {"name":"p"}`}}, []int{1, 0}, false, 1},
		{"once only, the first lacks something", create, [][]string{{fail("UNAVAILABLE", 1)}, {`201 {"name":"p"}`}}, []int{1, 0}, false, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			client, centers := several(t, tc.centers...)
			begin := time.Now()
			err := tc.call(client)
			if (err == nil) != tc.ok {
				t.Errorf("%v", err)
			}
			for i, want := range tc.calls {
				if got := len(centers[i].seen()); got != want {
					t.Errorf("center %d got %d calls, want %d", i, got, want)
				}
			}
			if got := client.centers.current().url; got != client.centers.urls[tc.next] {
				t.Errorf("%s is next, want number %d", got, tc.next)
			}
			if took := time.Since(begin); took > 1500*time.Millisecond {
				t.Errorf("it took %s: a hint of the first was waited for", took)
			}
		})
	}
}

// TestManyCallsLeaveOnce: calls that fail together at one center all go to the
// next, and not past it.
func TestManyCallsLeaveOnce(t *testing.T) {
	client, centers := several(t, []string{"gone"}, []string{listed}, []string{listed})
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if _, err := client.Services(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := len(centers[1].seen()); n != 50 {
		t.Errorf("the second center got %d of 50 calls", n)
	}
}

func TestConfigOfSeveral(t *testing.T) {
	c, err := New(Config{Center: "http://a:1/", Centers: []string{"http://b:2", "https://c:3/"}})
	if err != nil || strings.Join(c.centers.urls, " ") != "http://a:1 http://b:2 https://c:3" || c.cfg.Tries != 6 || c.cfg.HTTP.Timeout == 0 || c.stream.Timeout != 0 {
		t.Errorf("%+v, %v", c, err)
	}
	c.Close()
	for _, bad := range []Config{{Center: "http://a:1", Centers: []string{"b"}}, {Centers: []string{""}}, {Center: "http://a:1", Tries: -1}, {Center: "http://a:1", MaxWait: -1}} {
		if _, err := New(bad); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
}

// TestConnectionsAreKept: twenty calls at once, twice, dial twenty times.
func TestConnectionsAreKept(t *testing.T) {
	var dialed atomic.Int64
	together := make(chan chan struct{}, 20)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		mine := make(chan struct{})
		together <- mine
		<-mine // until all are there
		_, _ = w.Write([]byte(`{}`))
	}))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			dialed.Add(1)
		}
	}
	srv.Start()
	defer srv.Close()
	client, err := New(Config{Center: srv.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for range 2 {
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if _, err := client.Services(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		var waiting []chan struct{}
		for range 20 {
			waiting = append(waiting, <-together)
		}
		for _, w := range waiting {
			close(w)
		}
		wg.Wait()
	}
	if n := dialed.Load(); n > 25 { // a connection may not be idle again yet
		t.Errorf("dialed %d times", n)
	}
}
