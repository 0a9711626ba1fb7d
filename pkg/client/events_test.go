package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"longlink/pkg/code"
)

// feed is the log of a product as several fake centers serve it. A cursor is the
// number of the next event.
type feed struct {
	mu      sync.Mutex
	rng     *rand.Rand
	size    int // of the log; all is there from the begin
	every   int // events between cursors; 0: none at all
	streams int
	sinces  []string
}

// ServeHTTP serves some of what follows the cursor, and ends within an event.
func (f *feed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.streams++
	f.sinces = append(f.sinces, r.URL.Query().Get("since"))
	switch f.rng.IntN(5) {
	case 0:
		w.WriteHeader(503)
		_, _ = io.WriteString(w, `{"error":{"code":"UNAVAILABLE","retry_after_ms":1}}`)
		return
	case 1:
		panic(http.ErrAbortHandler)
	}
	at, _ := strconv.Atoi(r.Header.Get("Last-Event-ID"))
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	_, _ = io.WriteString(w, ": hello\n\n")
	end := f.size
	if f.every > 0 {
		end = min(f.size, at+f.rng.IntN(3*f.every))
	}
	for ; at < end; at++ {
		fmt.Fprintf(w, "event: upstream\ndata: {\"id\":\"e%d\",\"type\":\"upstream\",\"device\":\"d\",\"up_id\":%d}\n\n", at, at)
		if f.every > 0 && f.rng.IntN(f.every) == 0 {
			fmt.Fprintf(w, "id: %d\n\n", at+1)
		}
	}
	fmt.Fprintf(w, "event: upstream\ndata: {\"id\":\"e%d\",\"ty", at)
}

// RoundTrip serves a request without a network, so that time can be virtual.
func (f *feed) RoundTrip(r *http.Request) (res *http.Response, err error) {
	w := httptest.NewRecorder()
	defer func() {
		if recover() != nil {
			err = errors.New("connection reset")
		}
	}()
	f.ServeHTTP(w, r)
	return w.Result(), nil
}

// follow runs Events against centers until so many events have been handled.
func follow(t *testing.T, f *feed, want int, r EventsRequest) (got []int, err error) {
	t.Helper()
	c, err := New(Config{Centers: []string{"http://a", "http://b", "http://c"}, APIKey: "key", HTTP: &http.Client{Transport: f}, Tries: 20})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	err = c.Events(ctx, r, func(e Event) error {
		if got = append(got, int(e.UpID)); len(got) == want {
			cancel()
		}
		return nil
	})
	return got, err
}

func inOrder(t *testing.T, got []int, want int) {
	t.Helper()
	if len(got) != want {
		t.Fatalf("%d events were handled, want %d", len(got), want)
	}
	for i, n := range got {
		if n != i {
			t.Fatalf("place %d has event %d", i, n)
		}
	}
}

// TestEventsOnceInOrder: streams that end anywhere, also within an event, and
// centers that refuse and break; every event is handled once, in order.
func TestEventsOnceInOrder(t *testing.T) { synctest.Test(t, eventsOnceInOrder) }

func eventsOnceInOrder(t *testing.T) {
	f := &feed{rng: rand.New(rand.NewPCG(1, 2)), size: 400, every: 40}
	var cursors []string
	breaks := 0
	got, err := follow(t, f, f.size, EventsRequest{
		OnCursor: func(c string) { cursors = append(cursors, c) },
		OnBreak: func(err error, again time.Duration) {
			if breaks++; err == nil || again <= 0 {
				t.Errorf("%v, again in %s", err, again)
			}
		},
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	inOrder(t, got, f.size)
	last := 0
	for _, c := range cursors {
		n, err := strconv.Atoi(c)
		if err != nil || n < last {
			t.Fatalf("cursors %q", cursors)
		}
		last = n
	}
	if breaks == 0 || last == 0 {
		t.Errorf("%d breaks, %d streams, cursors %q", breaks, f.streams, cursors)
	}
}

// TestEventsBeforeTheFirstCursor: until there is one, a new stream begins as far
// back as the first did, and what comes again is known.
func TestEventsBeforeTheFirstCursor(t *testing.T) { synctest.Test(t, eventsBeforeTheFirstCursor) }

func eventsBeforeTheFirstCursor(t *testing.T) {
	f := &feed{rng: rand.New(rand.NewPCG(3, 4)), size: 50}
	breaks := 0
	got, err := follow(t, f, 51, EventsRequest{Since: 90 * time.Second, OnBreak: func(error, time.Duration) {
		if breaks++; breaks == 3 {
			f.mu.Lock()
			f.size = 51
			f.mu.Unlock()
		}
	}})
	if !errors.Is(err, context.Canceled) || breaks < 3 {
		t.Errorf("%v after %d breaks", err, breaks)
	}
	inOrder(t, got, 51)
	// The first stream asks for what was asked for, the others for more.
	for i, s := range f.sinces {
		d, err := time.ParseDuration(s)
		if err != nil || d < 90*time.Second || d > 150*time.Second || d%time.Second != 0 {
			t.Errorf("stream %d begins %s ago", i, s)
		}
	}
	if last := f.sinces[len(f.sinces)-1]; f.sinces[0] != "1m30s" || last == "1m30s" {
		t.Errorf("streams begin %v ago", f.sinces)
	}
}

// TestEventsEnd: what ends the call, and with which error.
func TestEventsEnd(t *testing.T) {
	answer := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			if status == 200 {
				w.Header().Set("Content-Type", "text/event-stream")
			}
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	for _, tc := range []struct {
		name   string
		answer http.HandlerFunc
		want   code.Code
		text   string
	}{
		{"refused", answer(403, `{"error":{"code":"PERMISSION_DENIED","message":"no"}}`), code.PermissionDenied, "no"},
		{"bad cursor", answer(400, `{"error":{"code":"INVALID_ARGUMENT","field":"cursor","message":"no"}}`), code.InvalidArgument, "cursor"},
		{"a long hint before the first stream", answer(429, `{"error":{"code":"RATE_LIMITED","retry_after_ms":60000,"message":"full"}}`), code.RateLimited, "full"},
		{"away before the first stream", answer(503, `{"error":{"code":"UNAVAILABLE","retry_after_ms":1,"message":"away"}}`), code.Unavailable, "away"},
		{"no center", answer(404, `<html>`), code.Malformed, "is this address a center?"},
		{"no stream", answer(201, `{}`), code.Malformed, "HTTP 201"},
		{"the handler", answer(200, "data: {\"id\":\"1\"}\n\n"), code.Internal, "enough"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			srv := httptest.NewServer(tc.answer)
			defer srv.Close()
			c, err := New(Config{Center: srv.URL})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			err = c.Events(t.Context(), EventsRequest{Product: "p"}, func(Event) error { return errors.New("enough") })
			if err == nil || CodeOf(err) != tc.want || !strings.Contains(err.Error(), tc.text) {
				t.Errorf("%v", err)
			}
		})
	}
}

// roundTrip is a transport of its own.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestEventsSilence: a stream on which not even pings come is left; one with
// pings stays.
func TestEventsSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var at []time.Duration // of each stream's begin
		c, err := New(Config{Center: "http://center", HTTP: &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			at = append(at, time.Since(begin))
			out, in := io.Pipe()
			context.AfterFunc(r.Context(), func() { in.CloseWithError(r.Context().Err()) })
			pings := 20 * (2 - len(at)) // the second one is silent from the begin
			go func() {
				for range pings {
					<-time.After(15 * time.Second)
					_, _ = io.WriteString(in, ": ping\n\n")
				}
			}()
			return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: out}, nil
		})}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
		defer cancel()
		var why []string
		err = c.Events(ctx, EventsRequest{OnBreak: func(err error, _ time.Duration) {
			if why = append(why, err.Error()); len(why) == 2 {
				cancel()
			}
		}}, func(Event) error { return nil })
		if !errors.Is(err, context.Canceled) || len(why) != 2 || !strings.Contains(why[0], "was silent for 45s") {
			t.Fatalf("%v, broke off because of %q", err, why)
		}
		// 20 pings, 45 s of silence, a pause.
		if first := at[1]; first < 345*time.Second || first > 346*time.Second {
			t.Errorf("streams began after %v", at)
		}
	})
}

// TestEventsReconnectPace: streams that end at once are not asked for all the
// time, and those that lived long begin anew with a short pause.
func TestEventsReconnectPace(t *testing.T) {
	busy := &Error{Cause: &code.Error{Code: code.RateLimited, Retry: 20 * time.Second}}
	for _, tc := range []struct {
		fails    int
		err      error
		from, to time.Duration
	}{
		{0, io.EOF, 100 * time.Millisecond, 126 * time.Millisecond},
		{3, io.EOF, 800 * time.Millisecond, 1001 * time.Millisecond},
		{1000, io.EOF, 5 * time.Second, 6251 * time.Millisecond},
		{0, busy, 20 * time.Second, 26 * time.Second},
		{0, &Error{Cause: &code.Error{Code: code.RateLimited, Retry: time.Hour}}, 30 * time.Second, 38 * time.Second},
	} {
		if got := streamPause(tc.fails, tc.err); got < tc.from || got > tc.to {
			t.Errorf("after %d failures and %v: %s", tc.fails, tc.err, got)
		}
	}
}

func TestRecent(t *testing.T) {
	r := newRecent(3)
	for _, id := range []string{"a", "b", "", "c", "d"} {
		r.add(id)
	}
	if r.has("a") || !r.has("b") || !r.has("c") || !r.has("d") || r.has("") || len(r.ids) != 3 {
		t.Errorf("%v", r.ids)
	}
}
