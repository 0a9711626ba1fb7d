package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"longlink/pkg/datadir"
)

func TestMain(m *testing.M) {
	for _, name := range []string{"LONGLINK_CENTER", "LONGLINK_API_KEY"} {
		os.Unsetenv(name)
	}
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) // the pool that a dependency starts when it is imported
}

// center is a fake one that answers by "METHOD path", and notes the calls.
type center struct {
	url string

	mu      sync.Mutex
	answers map[string]string // JSON of a 200, or "404 JSON"
	calls   []string          // method, path with query, body
	keys    []string          // of the calls
}

func startCenter(t *testing.T, answers map[string]string) *center {
	t.Helper()
	c := &center{answers: answers}
	srv := httptest.NewServer(c)
	t.Cleanup(srv.Close)
	c.url = srv.URL
	return c
}

func (c *center) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = append(c.calls, strings.TrimSpace(r.Method+" "+r.URL.RequestURI()+" "+string(b)))
	c.keys = append(c.keys, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
	answer, ok := c.answers[r.Method+" "+r.URL.Path]
	status := 200
	if !ok {
		status, answer = 404, `{"error":{"code":"NOT_FOUND","message":"there is no call `+r.Method+" "+r.URL.Path+`"}}`
	}
	if n, err := fmt.Sscanf(answer, "%d ", &status); n == 1 && err == nil {
		answer = answer[4:]
	}
	if r.URL.Path == "/v1/events" {
		w.Header().Set("Content-Type", "text/event-stream")
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, answer)
}

// seen are the calls that came, and forgets them.
func (c *center) seen() (calls, keys []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	calls, keys = c.calls, c.keys
	c.calls, c.keys = nil, nil
	return calls, keys
}

// flags are what a command needs to find it.
func (c *center) flags() []string { return []string{"--center", c.url, "--api-key", "key"} }

// longlink runs the command line.
func longlink(t *testing.T, args ...string) (exit int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	exit = run(t.Context(), args, streams{&out, &errs})
	return exit, out.String(), errs.String()
}

// longlinkUntil runs it with a context of its own.
func longlinkUntil(ctx context.Context, out, errs io.Writer, args ...string) int {
	return run(ctx, args, streams{out, errs})
}

// dataDir makes the data directory of a gateway that has run.
func dataDir(t *testing.T, center string, keys map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	if center != "" {
		if err := datadir.Dir(dir).WriteEndpoints(datadir.Endpoints{Center: center, Dispatcher: center}); err != nil {
			t.Fatal(err)
		}
	}
	for name, key := range keys {
		if err := os.WriteFile(filepath.Join(dir, name+".key"), []byte(key+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// squeeze makes one space of the spaces of a table.
func squeeze(s string) string {
	var lines []string
	for _, l := range strings.Split(strings.TrimRight(s, "\n"), "\n") {
		lines = append(lines, strings.Join(strings.Fields(l), " "))
	}
	return strings.Join(lines, "\n")
}

// objects reads lines of JSON.
func objects(t *testing.T, lines string) (out []map[string]any) {
	t.Helper()
	for _, l := range strings.Split(strings.TrimSpace(lines), "\n") {
		var o map[string]any
		if err := json.Unmarshal([]byte(l), &o); err != nil {
			t.Fatalf("%v: %s", err, l)
		}
		out = append(out, o)
	}
	return out
}
