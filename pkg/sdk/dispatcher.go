package sdk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"longlink/pkg/code"
)

const (
	dispatcherTimeout = 10 * time.Second
	maxAnswer         = 64 << 10
)

// answer is a dispatcher's answer, checked and bounded.
type answer struct {
	group     []string
	ttl       time.Duration
	heartbeat time.Duration // suggested; 0: none
	backoff   Backoff       // zero parts: not given
}

// askDispatcher asks the configured dispatchers in turn, from the one that
// answered last.
func (c *Client) askDispatcher(ctx context.Context, failed []string) (*answer, error) {
	var errs []error
	for range c.cfg.Dispatcher {
		base := c.cfg.Dispatcher[c.dispatcher%len(c.cfg.Dispatcher)]
		a, err := c.askOne(ctx, base, failed)
		if err == nil {
			return a, nil
		}
		errs = append(errs, fmt.Errorf("dispatcher %s: %w", base, err))
		c.dispatcher++
	}
	return nil, errors.Join(errs...)
}

func (c *Client) askOne(ctx context.Context, base string, failed []string) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, dispatcherTimeout)
	defer cancel()
	q := url.Values{"device": {c.cfg.Device}, "transport": {"tcp"}}
	if c.cfg.Network != "" {
		q.Set("network", c.cfg.Network)
	}
	if len(failed) > 0 {
		q.Set("failed", strings.Join(failed, ","))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(base, "/")+"/v1/rooms?"+q.Encode(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.cfg.HTTP.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, refusal(resp.Status, body)
	}
	return parseAnswer(body)
}

// refusal is the error of an answer that is no 200: a *code.Error with the
// hint of the API's error object, if the body is one.
func refusal(status string, body []byte) *code.Error {
	var raw struct {
		Error struct {
			Message string  `json:"message"`
			Retry   float64 `json:"retry_after_ms"`
		} `json:"error"`
	}
	e := code.Errorf(code.Unavailable, "HTTP status %s", status)
	if json.Unmarshal(body, &raw) == nil {
		e.Message += " " + raw.Error.Message
		e.Retry = min(span(raw.Error.Retry, time.Millisecond), maxHint)
	}
	return e
}

func parseAnswer(body []byte) (*answer, error) {
	var raw struct {
		Rooms []struct {
			Addr      string `json:"addr"`
			Transport string `json:"transport"`
		} `json:"rooms"`
		TTL       float64 `json:"ttl_s"`
		Heartbeat struct {
			Suggested float64 `json:"suggested_s"`
		} `json:"heartbeat"`
		Backoff struct {
			Base   float64 `json:"base_ms"`
			Max    float64 `json:"max_ms"`
			Jitter float64 `json:"jitter"`
		} `json:"backoff"`
	}
	if err := json.Unmarshal(body, &raw); err != nil {
		return nil, fmt.Errorf("not a dispatcher's answer: %w", err)
	}
	a := &answer{
		ttl:       min(max(span(raw.TTL, time.Second), time.Second), 24*time.Hour),
		heartbeat: span(raw.Heartbeat.Suggested, time.Second),
		backoff:   Backoff{span(raw.Backoff.Base, time.Millisecond), span(raw.Backoff.Max, time.Millisecond), raw.Backoff.Jitter},
	}
	for _, r := range raw.Rooms {
		if (r.Transport == "" || r.Transport == "tcp") && validAddress(r.Addr) && len(a.group) < maxGroup {
			a.group = append(a.group, r.Addr)
		}
	}
	if len(a.group) == 0 {
		return nil, errors.New("it names no room")
	}
	return a, nil
}

// span turns a JSON number into a duration of at most a day.
func span(v float64, unit time.Duration) time.Duration {
	if !(v > 0) {
		return 0
	}
	return time.Duration(min(v*float64(unit), float64(24*time.Hour)))
}
