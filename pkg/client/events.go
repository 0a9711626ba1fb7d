package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"longlink/pkg/code"
)

// EventsRequest says what to follow.
type EventsRequest struct {
	Product string        // may be empty with a product's key
	Kind    string        // empty: all
	Since   time.Duration // how far back to begin; 0: now
	Cursor  string        // begin behind it, whatever Since says
	// OnCursor gets a cursor when every event up to it has been handled. Who
	// stores it begins there the next time. nil: not told.
	OnCursor func(cursor string)
	// OnBreak is told why a stream ended, and when the next one is tried. nil:
	// not told.
	OnBreak func(err error, again time.Duration)
}

// Event is one thing that came from a device.
type Event struct {
	ID      string            `json:"id"`
	Type    string            `json:"type"` // upstream
	Product string            `json:"product"`
	Device  string            `json:"device"`
	Kind    string            `json:"kind"`
	Time    string            `json:"time"` // when a room received it
	UpID    uint64            `json:"up_id,omitempty"`
	Text    *string           `json:"text,omitempty"`
	JSON    json.RawMessage   `json:"json,omitempty"`
	Payload []byte            `json:"payload,omitempty"`
	Data    map[string]string `json:"data,omitempty"`
}

// Events follows what comes from a product's devices, in order for each of them,
// until ctx ends or handle returns an error, which is then its error. It takes
// the first connection as any call does, and afterwards connects again for as
// long as ctx lasts: behind the last cursor, at the next center, with back-off.
// It gives up when the API says that the same would fail again, such as after
// the end of the key.
//
// Events come at least once. An event that comes twice within a few thousand is
// handled once; over a restart of the program handle must know it by its id.
func (c *Client) Events(ctx context.Context, r EventsRequest, handle func(Event) error) error {
	f := &follower{c: c, r: r, handle: handle, cursor: r.Cursor, seen: newRecent(recentEvents)}
	for try, fails := 1, 0; ; try++ {
		begin, handled := time.Now(), f.handled
		err := f.stream(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var he *handlerError
		if errors.As(err, &he) {
			return he.error
		}
		var ae *Error
		if errors.As(err, &ae) && ae.Cause.Code.Action() == code.Never {
			return err
		}
		var wait time.Duration
		if f.began.IsZero() {
			var again bool
			if wait, again = c.again(err, try, true); !again || try >= c.cfg.Tries {
				return err
			}
		} else {
			if f.handled > handled || time.Since(begin) >= streamSettled {
				fails = 0
			}
			wait = streamPause(fails, err)
			fails++
			if r.OnBreak != nil {
				r.OnBreak(err, wait)
			}
		}
		if !pause(ctx, wait) {
			return ctx.Err()
		}
	}
}

const (
	// recentEvents is how many ids are remembered: more than a server sends
	// between two cursors.
	recentEvents = 8192
	// streamSilence is how long nothing at all may come; the server pings every
	// 15 s.
	streamSilence = 45 * time.Second
	// streamSettled is how long a stream that brought nothing must have lived
	// for the next break to count as the first again.
	streamSettled = 10 * time.Second
)

// streamPause is the back-off between streams: 100 ms doubling up to 5 s, with a
// quarter of jitter, and not under the error's hint, of which half a minute is
// believed.
func streamPause(fails int, err error) time.Duration {
	wait := min(100*time.Millisecond<<min(fails, 6), 5*time.Second)
	var ae *Error
	if errors.As(err, &ae) {
		wait = max(wait, min(time.Duration(ae.Cause.RetryMS())*time.Millisecond, 30*time.Second))
	}
	return wait + rand.N(wait/4+1)
}

// handlerError is what handle returned, and not the stream's.
type handlerError struct{ error }

// take handles one event of the stream.
func (f *follower) take(b block) error {
	if b.data != nil {
		var e Event
		if err := json.Unmarshal(b.data, &e); err != nil {
			return fmt.Errorf("center's event cannot be read: %w", err)
		}
		// Handled first: what is remembered as seen has been.
		if !f.seen.has(e.ID) {
			if err := f.handle(e); err != nil {
				return &handlerError{err}
			}
			f.seen.add(e.ID)
			f.handled++
		}
	}
	if b.hasID && b.id != "" {
		f.cursor = b.id
		if f.r.OnCursor != nil {
			f.r.OnCursor(b.id)
		}
	}
	return nil
}
