// Package client is a small Go client of center's REST API for backend
// programs, and what the command line uses.
//
// Calls are repeated by the code of the error (pkg/code): "retry now" and
// "retry after" are tried again while the context lasts and tries remain, not
// before the hint; a hint longer than MaxWait is left to the caller. A push
// without a dedup_id gets one, so that a repetition never delivers twice. Calls
// that must not happen twice, such as the creation of a product, are repeated
// only after answers that say that nothing was done.
//
// Errors of the API are *Error, which unwraps to *code.Error.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"

	"longlink/pkg/code"
)

// Config of a Client.
type Config struct {
	// Center is the base URL, such as http://127.0.0.1:7200.
	Center string
	// APIKey is a product's key or the operator's.
	APIKey string
	// Tries is how often a call is made at most; 0: 4, 1: never repeated.
	Tries int
	// MaxWait is the longest hint that is waited for; 0: 2 s. A full lane asks
	// for half a minute, which is for the caller to decide.
	MaxWait time.Duration
	// HTTP is used for the calls; nil: a client with a 70 s timeout, more than
	// the longest wait.
	HTTP *http.Client
}

// Client calls one center. Safe for use by many goroutines.
type Client struct {
	cfg  Config
	base string
}

// New checks the config.
func New(cfg Config) (*Client, error) {
	u, err := url.Parse(cfg.Center)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, fmt.Errorf("center address %q is not a URL such as http://127.0.0.1:7200", cfg.Center)
	}
	if cfg.Tries <= 0 {
		cfg.Tries = 4
	}
	if cfg.MaxWait <= 0 {
		cfg.MaxWait = 2 * time.Second
	}
	if cfg.HTTP == nil {
		cfg.HTTP = &http.Client{Timeout: 70 * time.Second}
	}
	return &Client{cfg: cfg, base: strings.TrimSuffix(cfg.Center, "/")}, nil
}

// Error is an API error as it came: the code with its message, the HTTP status
// and the id under which the gateway's logs know the request.
type Error struct {
	Cause     *code.Error
	Status    int
	RequestID string
}

// Error is the cause's text, with the request id when there is one.
func (e *Error) Error() string {
	if e.RequestID == "" {
		return e.Cause.Error()
	}
	return e.Cause.Error() + " (request " + e.RequestID + ")"
}

// Unwrap gives the code.Error.
func (e *Error) Unwrap() error { return e.Cause }

// CodeOf is the code of an API error, INTERNAL for any other error.
func CodeOf(err error) code.Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Cause.Code
	}
	return code.Internal
}

type errorBody struct {
	Error ResultError `json:"error"`
}

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
	for try := 1; ; try++ {
		err := c.once(ctx, method, path, body, out)
		if err == nil || try >= c.cfg.Tries {
			return err
		}
		wait, again := c.again(err, try, repeat)
		if !again {
			return err
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
	case !repeat: // no answer: it may have happened
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

func (c *Client) once(ctx context.Context, method, path string, body []byte, out any) error {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+c.cfg.APIKey)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := c.cfg.HTTP.Do(req)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err
		}
		return fmt.Errorf("center at %s cannot be reached: %w; is the gateway running there?", c.base, err)
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

func apiError(res *http.Response, b []byte) error {
	e := &Error{Cause: &code.Error{Code: code.Internal}, Status: res.StatusCode, RequestID: res.Header.Get("X-Request-Id")}
	var eb errorBody
	if err := json.Unmarshal(b, &eb); err != nil || eb.Error.Code == "" {
		e.Cause.Message = fmt.Sprintf("HTTP %d without an error object; is this address a center?", res.StatusCode)
		e.Cause.Code = code.Malformed
		return e
	}
	e.Cause = eb.asError()
	return e
}

func (eb *errorBody) asError() *code.Error {
	c, ok := code.Lookup(eb.Error.Code)
	if !ok {
		c = code.Internal
	}
	return &code.Error{Code: c, Message: eb.Error.Message, Field: eb.Error.Field, Retry: time.Duration(eb.Error.RetryAfterMS) * time.Millisecond}
}
