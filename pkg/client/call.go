package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"time"

	"longlink/pkg/code"
)

// call makes one API call with repetition; out may be nil. repeat says whether
// the call may happen twice.
func (c *Client) call(ctx context.Context, method, path string, in, out any, repeat bool) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return err
		}
	}
	for try, left := 1, 0; ; try++ {
		center := c.centers.current()
		err := c.once(ctx, center.url, method, path, body, out)
		if err == nil {
			return nil
		}
		moved := ctx.Err() == nil && elsewhere(err) && c.centers.leave(center)
		wait, again := c.again(err, try, repeat)
		if !again || try >= c.cfg.Tries {
			return err
		}
		if moved && left < len(c.centers.urls)-1 {
			left, wait = left+1, 0
		}
		if !pause(ctx, wait) {
			return err
		}
	}
}

// pause is false when ctx ends first.
func pause(ctx context.Context, wait time.Duration) bool {
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// again says whether the call is made once more after this error, and when:
// 50 ms doubling, with a quarter of jitter, and not under the error's hint.
func (c *Client) again(err error, try int, repeat bool) (time.Duration, bool) {
	wait := 50 * time.Millisecond << min(try-1, 6)
	var ae *Error
	switch {
	case errors.As(err, &ae):
		hint := time.Duration(ae.Cause.RetryMS()) * time.Millisecond
		switch ae.Cause.Code.Action() {
		case code.RetryNow, code.RetryAfter, code.OtherAddress:
		default:
			return 0, false
		}
		if hint > c.cfg.MaxWait || !repeat && !untouched(ae.Cause.Code) {
			return 0, false
		}
		wait = max(wait, hint)
	case !repeat && !undialed(err): // no answer: it may have happened
		return 0, false
	}
	return wait + rand.N(wait/4+1), true
}

// untouched are the codes of calls that were refused before anything was done.
func untouched(c code.Code) bool {
	switch c {
	case code.RateLimited, code.Busy, code.NotReady, code.WrongOwner:
		return true
	}
	return false
}

// undialed: no connection came about, so nothing was done.
func undialed(err error) bool {
	var oe *net.OpError
	return errors.As(err, &oe) && oe.Op == "dial"
}

func (c *Client) once(ctx context.Context, center, method, path string, body []byte, out any) error {
	req, err := c.request(ctx, center, method, path, body)
	if err != nil {
		return err
	}
	res, err := c.cfg.HTTP.Do(req)
	if err != nil {
		return unreached(center, err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, 64<<20))
	if err != nil {
		return fmt.Errorf("center's answer broke off: %w", err)
	}
	if res.StatusCode/100 != 2 {
		return apiError(res, b)
	}
	if out == nil || len(b) == 0 {
		return nil
	}
	if err := json.Unmarshal(b, out); err != nil {
		return fmt.Errorf("center's answer cannot be read: %w", err)
	}
	return nil
}

func (c *Client) request(ctx context.Context, center, method, path string, body []byte) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, center+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.cfg.APIKey)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}

// unreached tells a center that is not there from one that took the call and
// went away.
func unreached(center string, err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err
	}
	if !undialed(err) {
		return fmt.Errorf("center at %s did not answer: %w; the call may have been done", center, err)
	}
	return fmt.Errorf("center at %s cannot be reached: %w; is the gateway running there?", center, err)
}
