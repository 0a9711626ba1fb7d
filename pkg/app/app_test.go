package app

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"longlink/pkg/cluster"
	"longlink/pkg/datadir"
)

func kindsOf(names ...string) (out []cluster.Kind) {
	for _, n := range names {
		out = append(out, cluster.Kind(n))
	}
	return out
}

// buffer is a log that many goroutines write.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) { b.mu.Lock(); defer b.mu.Unlock(); return b.b.Write(p) }
func (b *buffer) String() string              { b.mu.Lock(); defer b.mu.Unlock(); return b.b.String() }

// TestEmbeddedGateway starts the program's own Run on free ports, twice on one
// data directory, and stops it.
func TestEmbeddedGateway(t *testing.T) {
	dir := datadir.Dir(t.TempDir())
	for round := range 2 {
		ports := Ports{Host: "127.0.0.1"}
		var out, log buffer
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		cfg := DefaultConfig(ports)
		go func() {
			done <- Run(ctx, Options{Config: cfg, Kinds: cluster.Kinds, Ports: ports, Embedded: true, Data: dir, Out: &out, Err: &log})
		}()
		deadline := time.Now().Add(30 * time.Second)
		for !strings.HasPrefix(out.String(), "ready ") {
			select {
			case err := <-done:
				t.Fatalf("round %d: ended before it was ready: %v\n%s", round, err, log.String())
			case <-time.After(5 * time.Millisecond):
			}
			if time.Now().After(deadline) {
				t.Fatalf("round %d: not ready\n%s", round, log.String())
			}
		}
		e, err := dir.Endpoints()
		if err != nil {
			t.Fatal(err)
		}
		if status, body := get(t, e.Ops+"/readyz?verbose", ""); status != 200 {
			t.Errorf("readyz: %d %s", status, body)
		}
		key, err := dir.Key("operator")
		if err != nil {
			t.Fatal(err)
		}
		if status, body := call(t, http.MethodPost, e.Center+"/v1/push", key, `{"product":"demo","device":"never-seen","text":"x"}`); status != 200 || !strings.Contains(body, `"stored"`) {
			t.Errorf("push to a device that never existed: %d %s", status, body)
		}
		for _, metric := range []string{"longlink_room_connections", "longlink_register_sessions", "longlink_saver_appends_total", "longlink_saver_rebuild_slots", "longlink_register_slots", "longlink_keeper_view_age_seconds", "longlink_batch_queue_length", "longlink_room_parked_sessions", "longlink_room_outbound_bytes"} {
			if _, body := get(t, e.Ops+"/metrics", ""); !strings.Contains(body, metric) {
				t.Errorf("no metric %s", metric)
			}
		}
		status, body := get(t, e.Center+"/v1/services", key)
		var list struct {
			Services []struct{ Kind string }
		}
		if err := json.Unmarshal([]byte(body), &list); status != 200 || err != nil || len(list.Services) != len(cluster.Kinds) {
			t.Errorf("services: %d %s", status, body)
		}
		start := time.Now()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("round %d: stop: %v\n%s", round, err, log.String())
		}
		t.Logf("round %d stopped after %s", round, time.Since(start))
	}
}

func get(t *testing.T, url, key string) (int, string) {
	t.Helper()
	return call(t, http.MethodGet, url, key, "")
}

func call(t *testing.T, method, url, key, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(b)
}

func TestEmbeddedStoresAreRefusedInTheDistributedShape(t *testing.T) {
	c := defaults()
	err := Run(t.Context(), Options{Config: c, Kinds: kindsOf("saver"), Ports: Ports{Host: "127.0.0.1"}, Data: datadir.Dir(t.TempDir()), Out: io.Discard, Err: io.Discard})
	if err == nil || !strings.Contains(err.Error(), "saver.redis.mode") {
		t.Errorf("got %v", err)
	}
}
