package center

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"longlink/pkg/code"
)

func TestFailuresAreOneLineASecond(t *testing.T) {
	var log bytes.Buffer
	f := newFailures(slog.New(slog.NewTextHandler(&log, nil)))
	lines := func() (out []string) {
		for line := range strings.Lines(log.String()) {
			_, line, _ = strings.Cut(line, "msg=")
			out = append(out, strings.TrimSpace(line))
		}
		log.Reset()
		return out
	}
	expect := func(want ...string) {
		t.Helper()
		if got := lines(); strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	now := time.Now()
	push := failureKind{"push", code.Unavailable}
	for i := range 1000 {
		f.note(now.Add(time.Duration(i)*time.Microsecond), push, "request_id", fmt.Sprint("r", i))
	}
	f.note(now, failureKind{"push", code.Deadline}, "request_id", "x")
	expect(`"api calls failed" call=push code=UNAVAILABLE count=1 request_id=r0`, `"api calls failed" call=push code=DEADLINE count=1 request_id=x`)
	f.flush(now.Add(failureEvery / 2))
	expect()
	f.flush(now.Add(failureEvery))
	expect(`"api calls failed" call=push code=UNAVAILABLE count=999 request_id=r999`)
	f.note(now.Add(failureEvery+1), push, "request_id", "y")
	f.close(now.Add(failureEvery + 2))
	expect(`"api calls failed" call=push code=UNAVAILABLE count=1 request_id=y`)
	f.flush(now.Add(5 * time.Minute))
	if expect(); len(f.kinds) != 0 {
		t.Errorf("%d kinds are remembered", len(f.kinds))
	}
}

// TestAnOutageDoesNotFillTheLog, and a caller's own mistakes are not in it.
func TestAnOutageDoesNotFillTheLog(t *testing.T) {
	w := newWorld(t, nil)
	w.saver.set(func() { w.saver.down = code.Errorf(code.Unavailable, "redis is away") })
	const calls = 100
	for range calls {
		w.call(w.op, "POST", "/v1/push", `{"product":"demo","device":"d","text":"hi"}`).failed(t, code.Unavailable, "")
		w.call(w.op, "POST", "/v1/push", `{}`).failed(t, code.InvalidArgument, "product")
	}
	w.stop()
	counted, warnings := 0, 0
	for line := range strings.Lines(w.log.String()) {
		if strings.Contains(line, `msg="api calls failed"`) {
			var n int
			if _, err := fmt.Sscanf(line[strings.Index(line, "count="):], "count=%d", &n); err != nil || !strings.Contains(line, "level=WARN") || !strings.Contains(line, "call=push code=UNAVAILABLE") {
				t.Errorf("%v: %s", err, line)
			}
			counted, warnings = counted+n, warnings+1
		}
		if strings.Contains(line, `product=""`) {
			t.Errorf("an empty product: %s", line)
		}
	}
	if counted != calls || warnings > calls/2 {
		t.Errorf("%d calls counted in %d lines", counted, warnings)
	}
	if n := strings.Count(w.log.String(), `msg="api call"`); n != 2*calls {
		t.Errorf("%d calls have a line of their own", n)
	}
}
