package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/oklog/ulid/v2"

	"longlink/pkg/code"
)

// PushRequest is the body of POST /v1/push. Exactly one of Device, Devices and
// Alias, and exactly one of Text, JSON and Payload is set.
type PushRequest struct {
	Product     string            `json:"product"`
	Device      string            `json:"device,omitempty"`
	Devices     []string          `json:"devices,omitempty"`
	Alias       string            `json:"alias,omitempty"`
	Text        *string           `json:"text,omitempty"`
	JSON        json.RawMessage   `json:"json,omitempty"`
	Payload     []byte            `json:"payload,omitempty"` // base64 on the way
	Data        map[string]string `json:"data,omitempty"`
	TTL         string            `json:"ttl,omitempty"` // "24h"
	QoS         *int              `json:"qos,omitempty"`
	CollapseKey string            `json:"collapse_key,omitempty"`
	DedupID     string            `json:"dedup_id,omitempty"`
	Wait        string            `json:"wait,omitempty"` // "5s"
}

// PushReply is its answer.
type PushReply struct {
	ID      string       `json:"id"`
	Results []PushResult `json:"results"`
}

// PushResult is what became of one device's message: State is sent, stored or
// acked, or Error says why not.
type PushResult struct {
	Device string       `json:"device"`
	Seq    uint64       `json:"seq"`
	State  string       `json:"state"`
	Error  *ResultError `json:"error,omitempty"`
}

// ResultError is an error object inside an answer.
type ResultError struct {
	Code         string `json:"code"`
	Message      string `json:"message"`
	Field        string `json:"field,omitempty"`
	RetryAfterMS int64  `json:"retry_after_ms,omitempty"`
}

// Err is the error object as the code table knows it.
func (e *ResultError) Err() *code.Error {
	return (&errorBody{Error: *e}).asError()
}

// Push sends one message to one or several devices. Without DedupID (and with
// qos 1) it makes one, so that it may be repeated safely.
func (c *Client) Push(ctx context.Context, r PushRequest) (out PushReply, err error) {
	repeat := r.QoS == nil || *r.QoS != 0
	if repeat && r.DedupID == "" {
		r.DedupID = ulid.Make().String()
	}
	return out, c.call(ctx, http.MethodPost, "/v1/push", r, &out, repeat)
}

// Device is what is known of one device.
type Device struct {
	Device   string    `json:"device"`
	State    string    `json:"state"` // online, parked, offline, unknown
	Room     string    `json:"room,omitempty"`
	Since    string    `json:"since,omitempty"`
	Network  string    `json:"network,omitempty"`
	Client   string    `json:"client,omitempty"`
	Session  uint64    `json:"session,omitempty"` // epoch
	Bindings []Binding `json:"bindings"`
}

// Binding is one product of a device, with how many messages wait for it.
type Binding struct {
	Product string   `json:"product"`
	Tags    []string `json:"tags,omitempty"`
	Pending uint64   `json:"pending"`
}

// Device asks for one device.
func (c *Client) Device(ctx context.Context, id string) (out Device, err error) {
	return out, c.call(ctx, http.MethodGet, "/v1/devices/"+segment(id), nil, &out, true)
}

// Devices asks for several devices, in the order given.
func (c *Client) Devices(ctx context.Context, ids ...string) ([]Device, error) {
	var out struct {
		Devices []Device `json:"devices"`
	}
	err := c.call(ctx, http.MethodPost, "/v1/devices:query", map[string]any{"devices": ids}, &out, true)
	return out.Devices, err
}

// Kick closes the device's connection (operator's key) or unbinds the product
// (product's key). The answer says which.
func (c *Client) Kick(ctx context.Context, device, reason string) (state string, err error) {
	var out struct {
		State string `json:"state"`
	}
	err = c.call(ctx, http.MethodPost, "/v1/devices/"+segment(device)+":kick", map[string]any{"reason": reason}, &out, true)
	return out.State, err
}

// Service is one running instance.
type Service struct {
	Kind      string             `json:"kind"`
	ID        string             `json:"id"`
	State     string             `json:"state"`
	Version   string             `json:"version"`
	RPC       string             `json:"rpc"`
	Addresses []string           `json:"addresses,omitempty"`
	Started   string             `json:"started,omitempty"`
	Epoch     uint64             `json:"epoch"`
	Figures   map[string]float64 `json:"figures,omitempty"`
}

// Services lists every instance.
func (c *Client) Services(ctx context.Context) ([]Service, error) {
	var out struct {
		Services []Service `json:"services"`
	}
	err := c.call(ctx, http.MethodGet, "/v1/services", nil, &out, true)
	return out.Services, err
}

// Product is an app with its keys' ids.
type Product struct {
	Name    string   `json:"name"`
	Created string   `json:"created"`
	KeyIDs  []string `json:"key_ids"`
}

// ProductKey is shown once, when a product or key is made.
type ProductKey struct {
	Name        string `json:"name"`
	APIKey      string `json:"api_key"`
	GrantSecret string `json:"grant_secret,omitempty"`
	GrantKID    string `json:"grant_kid,omitempty"`
}

// Products lists all products, page by page.
func (c *Client) Products(ctx context.Context) ([]Product, error) {
	var all []Product
	err := c.pages(ctx, "/v1/products", url.Values{}, func(get func(any) error) (string, error) {
		var out struct {
			Products   []Product `json:"products"`
			NextCursor string    `json:"next_cursor"`
		}
		err := get(&out)
		all = append(all, out.Products...)
		return out.NextCursor, err
	})
	return all, err
}

// Product asks for one product.
func (c *Client) Product(ctx context.Context, name string) (out Product, err error) {
	return out, c.call(ctx, http.MethodGet, "/v1/products/"+segment(name), nil, &out, true)
}

// CreateProduct makes a product; ALREADY_EXISTS when there is one.
func (c *Client) CreateProduct(ctx context.Context, name string) (out ProductKey, err error) {
	return out, c.call(ctx, http.MethodPost, "/v1/products", map[string]any{"name": name}, &out, false)
}

// RotateProductKey makes a new API key for a product.
func (c *Client) RotateProductKey(ctx context.Context, name string) (out ProductKey, err error) {
	return out, c.call(ctx, http.MethodPost, "/v1/products/"+segment(name)+":rotate-key", struct{}{}, &out, false)
}

// DeleteProduct ends a product.
func (c *Client) DeleteProduct(ctx context.Context, name string) error {
	return c.call(ctx, http.MethodDelete, "/v1/products/"+segment(name), nil, nil, false)
}

// TokenRequest is the body of POST /v1/tokens.
type TokenRequest struct {
	Device   string            `json:"device"`
	Products []string          `json:"products,omitempty"`
	Aliases  map[string]string `json:"aliases,omitempty"`
	TTL      string            `json:"ttl,omitempty"`
}

// Token is a device token and its end.
type Token struct {
	Token   string `json:"token"`
	Expires string `json:"expires"`
}

// CreateToken signs a device token (operator's key).
func (c *Client) CreateToken(ctx context.Context, r TokenRequest) (out Token, err error) {
	return out, c.call(ctx, http.MethodPost, "/v1/tokens", r, &out, true)
}
