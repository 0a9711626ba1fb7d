package client

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/oklog/ulid/v2"
)

// BatchResult is what became of one message of a batch: the answer of a push,
// or Error.
type BatchResult struct {
	ID      string       `json:"id,omitempty"`
	Results []PushResult `json:"results,omitempty"`
	Error   *ResultError `json:"error,omitempty"`
}

// PushBatch sends up to 1,000 messages without Wait in one call and gives each
// its result, in order. Messages without DedupID (and with qos 1) get one. Those
// whose error allows it are sent again, as the package comment says, and only
// those; a message that was sent again comes behind its neighbours in its lane.
// err is for the call as a whole; when it is not nil and results are given, it
// is the error of a repetition.
func (c *Client) PushBatch(ctx context.Context, messages []PushRequest) (results []BatchResult, err error) {
	messages = slices.Clone(messages)
	repeat := true // the whole batch, when it is not answered
	for i := range messages {
		switch m := &messages[i]; {
		case m.QoS != nil && *m.QoS == 0:
			repeat = false
		case m.DedupID == "":
			m.DedupID = ulid.Make().String()
		}
	}
	open := make([]int, len(messages)) // places of what is sent
	for i := range open {
		open[i] = i
	}
	for try := 1; ; try++ {
		answers, err := c.pushBatch(ctx, messages, open, repeat)
		if err != nil {
			return results, err
		}
		if results == nil {
			results = make([]BatchResult, len(messages))
		}
		for n, i := range open {
			results[i] = answers[n]
		}
		var wait time.Duration
		open, wait = c.openAgain(messages, results, open, try)
		if len(open) == 0 || try >= c.cfg.Tries || !pause(ctx, wait) {
			return results, nil
		}
	}
}

func (c *Client) pushBatch(ctx context.Context, messages []PushRequest, open []int, repeat bool) ([]BatchResult, error) {
	var in struct {
		Messages []PushRequest `json:"messages"`
	}
	for _, i := range open {
		in.Messages = append(in.Messages, messages[i])
	}
	var out struct {
		Results []BatchResult `json:"results"`
	}
	if err := c.call(ctx, http.MethodPost, "/v1/push:batch", in, &out, repeat); err != nil {
		return nil, err
	}
	if len(out.Results) != len(open) {
		return nil, fmt.Errorf("center answered %d messages with %d results", len(open), len(out.Results))
	}
	return out.Results, nil
}

// openAgain are the messages whose error allows another try, and how long to
// wait before it: the longest of their waits.
func (c *Client) openAgain(messages []PushRequest, results []BatchResult, open []int, try int) (again []int, wait time.Duration) {
	for _, i := range open {
		e := results[i].Error
		if e == nil {
			continue
		}
		m := &messages[i]
		if w, ok := c.again(&Error{Cause: e.Err()}, try, m.QoS == nil || *m.QoS != 0); ok {
			again, wait = append(again, i), max(wait, w)
		}
	}
	return again, wait
}
