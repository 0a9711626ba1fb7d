package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// follower is one call of Events over its streams.
type follower struct {
	c       *Client
	r       EventsRequest
	handle  func(Event) error
	cursor  string
	began   time.Time // of the first stream that was answered
	seen    *recent
	handled int // events that were new
}

// stream reads one answer to its end.
func (f *follower) stream(ctx context.Context) error {
	center := f.c.centers.current()
	err := f.read(ctx, center.url)
	if ctx.Err() == nil && elsewhere(err) {
		f.c.centers.leave(center)
	}
	return err
}

func (f *follower) read(ctx context.Context, center string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	silent := time.AfterFunc(streamSilence, cancel)
	defer silent.Stop()
	req, err := f.c.request(ctx, center, http.MethodGet, "/v1/events?"+f.query().Encode(), nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "text/event-stream")
	if f.cursor != "" {
		req.Header.Set("Last-Event-ID", f.cursor)
	}
	asked := time.Now()
	res, err := f.c.stream.Do(req)
	if err != nil {
		return unreached(center, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		b, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
		if err != nil {
			return fmt.Errorf("center's answer broke off: %w", err)
		}
		return apiError(res, b)
	}
	if kind := res.Header.Get("Content-Type"); !strings.HasPrefix(kind, "text/event-stream") {
		return fmt.Errorf("%s answered %q and no stream of events; is it a center?", center, kind)
	}
	if f.began.IsZero() {
		f.began = asked
	}
	err = readStream(res.Body, func() { silent.Reset(streamSilence) }, f.take)
	switch {
	case ctx.Err() != nil: // or the caller's, who then sees it
		return fmt.Errorf("center at %s was silent for %s", center, streamSilence)
	case err == io.EOF:
		return fmt.Errorf("center at %s ended the stream: %w", center, err)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("the stream of center at %s broke off: %w", center, err)
	}
	return err
}

// query says where to begin. Until a cursor has come, that is as far back as the
// first stream, and a second of margin: what comes twice is known by its id.
func (f *follower) query() url.Values {
	q := query("product", f.r.Product)
	if f.r.Kind != "" {
		q.Set("kind", f.r.Kind)
	}
	since := f.r.Since
	if !f.began.IsZero() {
		since += time.Since(f.began) + time.Second
	}
	if f.cursor == "" && since > 0 {
		q.Set("since", (since + time.Second - 1).Truncate(time.Second).String())
	}
	return q
}

// recent remembers the last so many ids.
type recent struct {
	ids  map[string]bool
	ring []string
	next int
}

func newRecent(size int) *recent {
	return &recent{ids: make(map[string]bool, size), ring: make([]string, size)}
}

func (r *recent) has(id string) bool { return r.ids[id] }

// add remembers an id; nothing has no name.
func (r *recent) add(id string) {
	if id == "" {
		return
	}
	delete(r.ids, r.ring[r.next])
	r.ids[id], r.ring[r.next] = true, id
	r.next = (r.next + 1) % len(r.ring)
}
