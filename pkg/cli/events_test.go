package cli

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
)

// screen ends the command after so many lines.
type screen struct {
	mu    sync.Mutex
	text  strings.Builder
	lines int
	full  context.CancelFunc
}

func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text.Write(b)
	if strings.Count(s.text.String(), "\n") >= s.lines {
		s.full()
	}
	return len(b), nil
}

const threeEvents = `event: upstream
data: {"id":"1","type":"upstream","product":"p","device":"d1","kind":"report","time":"t1","up_id":5,"text":"all well\u001b[2J","data":{}}

: ping

event: upstream
data: {"id":"2","type":"upstream","product":"p","device":"d1","kind":"position","time":"t2","up_id":6,"json":{"x":1}}
id: c2

data: {"id":"3","type":"upstream","product":"p","device":"d2","kind":"raw","time":"t3","up_id":7,"payload":"/wA="}

`

// TestEvents: a line an event, until Ctrl-C, which is no failure.
func TestEvents(t *testing.T) {
	c := startCenter(t, map[string]string{"GET /v1/events": threeEvents})
	for _, tc := range []struct {
		args, call, want string
	}{
		{"events --product p", "GET /v1/events?product=p", "t1  d1  report  all well\\x1b[2J\nt2  d1  position  {\"x\":1}\nt3  d2  raw  2 bytes\n"},
		{"events --product p --kind report --since 10m --json", "GET /v1/events?kind=report&product=p&since=10m0s",
			`{"id":"1","type":"upstream","product":"p","device":"d1","kind":"report","time":"t1","up_id":5,"text":"all well\u001b[2J"}` + "\n" +
				`{"id":"2","type":"upstream","product":"p","device":"d1","kind":"position","time":"t2","up_id":6,"json":{"x":1}}` + "\n" +
				`{"id":"3","type":"upstream","product":"p","device":"d2","kind":"raw","time":"t3","up_id":7,"payload":"/wA="}` + "\n"},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		out, errs := &screen{lines: 3, full: cancel}, &strings.Builder{}
		if exit := longlinkUntil(ctx, out, errs, append(strings.Fields(tc.args), c.flags()...)...); exit != 0 || out.text.String() != tc.want {
			t.Errorf("%s: exit code %d\n%s%s", tc.args, exit, out.text.String(), errs)
		}
		if calls, _ := c.seen(); calls[0] != tc.call {
			t.Errorf("called %q", calls)
		}
		cancel()
	}
}

// TestEventsRefused: what will not get better ends the command.
func TestEventsRefused(t *testing.T) {
	c := startCenter(t, map[string]string{"GET /v1/events": `403 {"error":{"code":"PERMISSION_DENIED","message":"another's"}}`})
	exit, out, errs := longlink(t, append([]string{"events", "--product", "p"}, c.flags()...)...)
	if exit != 1 || out != "" || errs != "longlink events: PERMISSION_DENIED: another's\n" {
		t.Errorf("%d %s%s", exit, out, errs)
	}
}

// broken is a pipe whose reader has gone.
type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

// TestEventsToNobody: what cannot be printed ends the command.
func TestEventsToNobody(t *testing.T) {
	c := startCenter(t, map[string]string{"GET /v1/events": threeEvents})
	var errs strings.Builder
	if exit := longlinkUntil(t.Context(), broken{}, &errs, append([]string{"events", "--product", "p"}, c.flags()...)...); exit != 1 || !strings.Contains(errs.String(), "broken pipe") {
		t.Errorf("%d %s", exit, errs.String())
	}
}

// TestEventsSayThatTheyBrokeOff: a stream that ends is told and taken up again.
func TestEventsSayThatTheyBrokeOff(t *testing.T) {
	c := startCenter(t, map[string]string{"GET /v1/events": threeEvents})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out strings.Builder
	errs := &screen{lines: 2, full: cancel}
	if exit := longlinkUntil(ctx, &out, errs, append([]string{"events", "--product", "p"}, c.flags()...)...); exit != 0 {
		t.Errorf("exit code %d\n%s", exit, errs.text.String())
	}
	if n := strings.Count(errs.text.String(), "; again in "); n != 2 {
		t.Errorf("said %d times\n%s", n, errs.text.String())
	}
	if n := strings.Count(out.String(), "\n"); n != 3 {
		t.Errorf("%d events were printed of 3, sent twice\n%s", n, out.String())
	}
}
