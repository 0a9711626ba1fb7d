package sdk

import (
	"context"
	"errors"
	"time"

	"longlink/pkg/code"
	"longlink/pkg/wire"
)

const (
	// MaxSends bounds the Sends that wait for an answer at once.
	MaxSends = 64
	// MaxSendBytes bounds what their bodies hold together.
	MaxSendBytes = 1 << 20
)

// ErrClosed is what Send answers once Run has ended, to those that wait then
// too: what they sent may have been stored.
var ErrClosed = errors.New("sdk: the client has stopped")

// SendFlags say what the body of a Send is; none: bytes.
type SendFlags uint8

// The flags of Send.
const (
	SendText SendFlags = wire.FlagText
	SendJSON SendFlags = wire.FlagJSON
)

// Send brings body upstream to the product's backend and returns nil when the
// server has stored it. It waits for a connection on which the product is
// bound, and sends the same again, under the same number, after a break and
// after a refusal that passes (HOLD and the like, not before the server's
// hint); a number that was stored is not stored twice. What is sent of one
// product is stored in the order in which Send was called; one that waits for
// the server's hint makes later ones of its product wait, not those of others.
//
// Any other answer is one of:
//
//   - a *code.Error of 4000-4999: the same would be refused again. It was not
//     stored, unless it was on its way when the product was taken off or the
//     connection broke, and the next one refuses it: then it may have been.
//     FAILED_PRECONDITION: this server takes no upstream data. UNBOUND: the
//     product is not, or no longer, bound. PAYLOAD_TOO_LARGE: the body is longer
//     than the server's frames, or than MaxSendBytes.
//   - a *code.Error RATE_LIMITED: MaxSends or MaxSendBytes wait for an answer
//     already. Nothing was sent; try again when one of them has returned.
//   - ctx's error, or ErrClosed: the Send was given up, and later ones go on
//     without it. It may have been stored, or be stored yet, after later ones.
//
// body must not be changed until Send returns.
func (c *Client) Send(ctx context.Context, product, kind string, flags SendFlags, body []byte) error {
	switch {
	case !wire.ValidName(product):
		return code.Invalid("product", "product %q must be 1 to 64 characters A-Z a-z 0-9 . _ ~ -", product)
	case !wire.ValidName(kind):
		return code.Invalid("kind", "kind %q must be 1 to 64 characters A-Z a-z 0-9 . _ ~ -", kind)
	case flags&^(SendText|SendJSON) != 0:
		return code.Invalid("flags", "flags %#x are none of SendText and SendJSON", uint8(flags))
	case len(body) > MaxSendBytes:
		return code.Errorf(code.PayloadTooLarge, "a body of %d bytes is longer than %d: send less, or a link", len(body), MaxSendBytes).WithField("body")
	case ctx.Err() != nil:
		return ctx.Err()
	}
	u := &up{
		Up:     wire.Up{Flags: uint8(flags), Product: []byte(product), Kind: []byte(kind), Payload: body},
		result: make(chan error, 1),
	}
	c.mu.Lock()
	err := c.enqueue(u)
	c.mu.Unlock()
	if err != nil {
		return err
	}
	select {
	case err := <-u.result:
		return err
	case <-ctx.Done():
	}
	c.mu.Lock()
	c.settle(u, ctx.Err()) // unless the answer came first
	c.mu.Unlock()
	return <-u.result
}

// enqueue numbers u and puts it last in the outbox. Caller holds mu.
func (c *Client) enqueue(u *up) error {
	u.p = c.products[string(u.Product)]
	switch {
	case c.ended:
		return ErrClosed
	case u.p == nil || !u.p.wanted:
		return code.Errorf(code.Unbound, "product %q is not bound: name it in Config.Products, or Bind it", u.Product).WithField("product")
	}
	if s := c.session; s != nil && s.welcome != nil {
		if err := s.refuses(u); err != nil {
			return err
		}
	}
	switch {
	case len(c.sends) >= MaxSends:
		return code.Errorf(code.RateLimited, "%d sends wait for an answer already", MaxSends)
	case c.sendBytes+len(u.Payload) > MaxSendBytes:
		return code.Errorf(code.RateLimited, "sends of %d bytes wait for an answer already, %d are allowed", c.sendBytes, MaxSendBytes)
	}
	c.lastUpID = max(c.lastUpID+1, uint64(max(0, time.Now().UnixMicro())))
	u.UpID = c.lastUpID
	c.sends[u.UpID] = u
	c.sendBytes += len(u.Payload)
	u.p.outbox.ups = append(u.p.outbox.ups, u)
	c.pokeSession()
	return nil
}
