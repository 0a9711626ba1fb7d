package client

import (
	"context"
	"net/http"
)

// Recalled is the answer of Recall.
type Recalled struct {
	ID       string `json:"id"`
	Recalled int    `json:"recalled"` // devices that had not consumed it
	Targets  int    `json:"targets"`  // devices to which it was sent
}

// Recall takes a message back from the lanes in which it waits. Product may be
// empty: with a product's key its own, with the operator's any. A device to
// which it has been written may still show it.
func (c *Client) Recall(ctx context.Context, product, id string) (out Recalled, err error) {
	return out, c.call(ctx, http.MethodDelete, "/v1/messages/"+segment(id)+ofProduct(product), nil, &out, true)
}

// MessageTrace is what is known of a message.
type MessageTrace struct {
	ID      string          `json:"id"`
	Targets []MessageTarget `json:"targets"` // what the ledger knows, by device
	Events  []TraceEvent    `json:"events"`  // what the instances remember, oldest first
	Silent  []string        `json:"silent,omitempty"`
}

// MessageTarget is the message in one device's lane.
type MessageTarget struct {
	Product  string `json:"product"`
	Device   string `json:"device"`
	Seq      uint64 `json:"seq"`
	State    string `json:"state"` // stored, acked, expired, recalled, void, replaced, dead_lettered
	Accepted string `json:"accepted"`
	Expires  string `json:"expires"`
}

// TraceEvent is one step of a message, by the clock of the instance that took it.
type TraceEvent struct {
	Time    string `json:"time"`
	Stage   string `json:"stage"`
	Node    string `json:"node"`
	Product string `json:"product,omitempty"`
	Device  string `json:"device,omitempty"`
	Seq     uint64 `json:"seq,omitempty"`
	Code    string `json:"code,omitempty"` // empty: it went well
	Detail  string `json:"detail,omitempty"`
}

// Trace tells where a message is and how it got there. What instances remember
// ends with them; Silent names those that were asked and did not answer.
func (c *Client) Trace(ctx context.Context, product, id string) (out MessageTrace, err error) {
	return out, c.call(ctx, http.MethodGet, "/v1/messages/"+segment(id)+"/trace"+ofProduct(product), nil, &out, true)
}
