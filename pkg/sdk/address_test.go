package sdk

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// fakeDispatcher answers without a socket, for the bubble.
type fakeDispatcher struct {
	mu      sync.Mutex
	down    bool
	full    bool // 503 with a hint of 20 s
	group   []string
	queries []string
}

func (f *fakeDispatcher) RoundTrip(req *http.Request) (*http.Response, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.queries = append(f.queries, req.URL.Query().Get("failed"))
	if f.down {
		return nil, errors.New("unreachable")
	}
	if f.full {
		body := `{"error":{"code":"UNAVAILABLE","message":"no room is ready","retry_after_ms":20000}}`
		return &http.Response{StatusCode: http.StatusServiceUnavailable, Body: io.NopCloser(strings.NewReader(body)), Request: req}, nil
	}
	rooms := []map[string]string{{"addr": "other:9", "transport": "quic"}}
	for _, a := range f.group {
		rooms = append(rooms, map[string]string{"addr": a, "idc": "x", "transport": "tcp"})
	}
	b, err := json.Marshal(map[string]any{"rooms": rooms, "ttl_s": 300, "heartbeat": map[string]int{"suggested_s": 77},
		"backoff": map[string]any{"base_ms": 100, "max_ms": 5000, "jitter": 0.3}})
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(bytes.NewReader(b)), Request: req}, err
}

func (f *fakeDispatcher) set(down bool, group ...string) {
	f.mu.Lock()
	f.down, f.group = down, group
	f.mu.Unlock()
}

func (f *fakeDispatcher) asked() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.queries)
}

func TestDispatcherIsAskedWhenTheGroupIsUsedUp(t *testing.T) {
	f := &fakeDispatcher{group: []string{"a:1", "b:1"}}
	store := NewMemoryStore()
	config := func(_ *world, c *Config) {
		c.Addresses, c.Dispatcher, c.HTTP, c.Store = nil, []string{"http://dispatcher:1"}, &http.Client{Transport: f}, store
	}
	inBubble(t, config, func(t *testing.T, w *world) {
		r := w.accept()
		if h := r.login(); r.addr != "a:1" || h.HeartbeatMS != 77_000 {
			t.Fatalf("connected to %s, heartbeat wish %d", r.addr, h.HeartbeatMS)
		}
		synctest.Wait()
		f.set(false, "c:1")
		w.refuse("a:1", "b:1")
		r.close()
		if r = w.accept(); r.addr != "c:1" {
			t.Fatalf("came back to %s", r.addr)
		}
		if got := f.asked(); !slices.Equal(got, []string{"", "a:1,b:1"}) {
			t.Fatalf("asked with failed= %q", got)
		}
		r.login()
		synctest.Wait()
	})
	f.set(false, "d:1")
	inBubble(t, config, func(t *testing.T, w *world) {
		if r := w.accept(); r.addr != "c:1" || len(f.asked()) != 2 {
			t.Fatalf("a new process came to %s after asking %d times, the last good address is c:1", r.addr, len(f.asked())-2)
		}
	})
}

func TestDispatcherAwayUsesTheCachedGroup(t *testing.T) {
	f := &fakeDispatcher{group: []string{"a:1", "b:1"}}
	store := NewMemoryStore()
	config := func(_ *world, c *Config) {
		c.Addresses, c.Dispatcher, c.HTTP, c.Store = nil, []string{"http://d1:1", "http://d2:1/"}, &http.Client{Transport: f}, store
	}
	inBubble(t, config, func(t *testing.T, w *world) {
		r := w.accept()
		r.login()
		synctest.Wait()
		f.set(true)
		w.refuse("a:1")
		r.close()
		if r = w.accept(); r.addr != "b:1" {
			t.Fatalf("came back to %s", r.addr)
		}
		r.login()
		synctest.Wait()
		w.refuse("a:1", "b:1")
		r.close()
		w.pass(5 * time.Minute) // the group goes round
		w.refuse("b:1")
		if r = w.accept(); r.addr != "a:1" {
			t.Fatalf("came back to %s", r.addr)
		}
		r.login()
		synctest.Wait()
	})
	inBubble(t, func(w *world, c *Config) { // another process, the dispatcher still away
		config(w, c)
		w.refuse("a:1")
	}, func(t *testing.T, w *world) {
		if r := w.accept(); r.addr != "b:1" {
			t.Fatalf("a new process came to %s", r.addr)
		}
	})
}

func TestParseAnswerRefusesNonsense(t *testing.T) {
	for _, s := range []string{``, `[]`, `{}`, `{"rooms":[]}`, `{"rooms":[{"addr":"nohost"}]}`, `{"rooms":[{"addr":"h:1","transport":"quic"}]}`, `{"rooms":7}`} {
		if a, err := parseAnswer([]byte(s)); err == nil {
			t.Errorf("%s: taken as %+v", s, a)
		}
	}
	a, err := parseAnswer([]byte(`{"rooms":[{"addr":"h:1"}],"ttl_s":1e300,"heartbeat":{"suggested_s":-5},"new":1}`))
	if err != nil || a.ttl != 24*time.Hour || a.heartbeat != 0 {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestDispatcherHintIsKept(t *testing.T) {
	f := &fakeDispatcher{full: true, group: []string{"a:1"}}
	inBubble(t, func(_ *world, c *Config) {
		c.Addresses, c.Dispatcher, c.HTTP = nil, []string{"http://d:1"}, &http.Client{Transport: f}
	}, func(t *testing.T, w *world) {
		start := time.Now()
		w.pass(time.Second)
		f.mu.Lock()
		f.full = false
		f.mu.Unlock()
		if w.accept(); time.Since(start) < 20*time.Second || time.Since(start) > 26*time.Second {
			t.Fatalf("asked again after %s, the hint was 20s", time.Since(start))
		}
	})
}
