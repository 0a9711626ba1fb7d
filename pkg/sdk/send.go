package sdk

import (
	"context"
	"time"

	"longlink/pkg/code"
	"longlink/pkg/wire"
)

// MaxSends bounds the Sends that wait for an answer at once.
const MaxSends = 64

// SendFlags say what the body of a Send is; none: bytes.
type SendFlags uint8

// The flags of Send.
const (
	SendText SendFlags = wire.FlagText
	SendJSON SendFlags = wire.FlagJSON
)

type upResult struct {
	code  code.Code
	retry time.Duration
}

// Send brings body upstream to the product's backend and returns when the
// server has stored it. It waits for a connection and repeats the frame, under
// the same number, over reconnects until ctx ends; a number that was stored is
// not stored twice. The error is a *code.Error: HOLD and the like carry a hint
// after which the app may send again; FAILED_PRECONDITION means that this
// server takes no upstream data.
func (c *Client) Send(ctx context.Context, product, kind string, flags SendFlags, body []byte) error {
	if !validName(product) || !validName(kind) {
		return code.Invalid("kind", "product and kind must be 1 to 64 characters A-Z a-z 0-9 . _ ~ -")
	}
	up := wire.Up{Flags: uint8(flags), Product: []byte(product), Kind: []byte(kind), Payload: body}
	result := make(chan upResult, 1)
	c.mu.Lock()
	if len(c.sends) >= MaxSends {
		c.mu.Unlock()
		return code.Errorf(code.RateLimited, "%d sends wait for an answer already", MaxSends)
	}
	c.lastUpID = max(c.lastUpID+1, uint64(time.Now().UnixMicro()))
	up.UpID = c.lastUpID
	c.sends[up.UpID] = result
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.sends, up.UpID)
		c.mu.Unlock()
	}()

	var on *session // that up was written on
	for {
		c.mu.Lock()
		s, changed := c.session, c.changed
		var err *code.Error
		if s != nil && s.welcome != nil && s != on {
			if err = s.sendUp(&up); err == nil {
				on = s
			}
		}
		c.mu.Unlock()
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		case r := <-result:
			if r.code == code.OK {
				return nil
			}
			return code.Errorf(r.code, "%s", r.code.Row().Meaning).WithRetry(r.retry)
		}
	}
}

// sendUp queues the frame. Caller holds mu.
func (s *session) sendUp(up *wire.Up) *code.Error {
	limit := int(s.welcome.MaxFrame)
	if limit == 0 {
		limit = wire.DefaultMaxFrame
	}
	size := len(up.Payload) + len(up.Product) + len(up.Kind) + 16
	switch {
	case s.welcome.Features&wire.FeatureUpstream == 0:
		return code.Errorf(code.FailedPrecondition, "this server takes no upstream data")
	case size > limit:
		return code.Errorf(code.PayloadTooLarge, "a body of %d bytes does not fit into a frame of %d", len(up.Payload), limit).WithField("body")
	case len(s.out)+size > MaxOutbound:
		return code.Errorf(code.RateLimited, "%d bytes wait to be written already", len(s.out))
	}
	s.out = wire.AppendUp(s.out, up)
	s.poke()
	return nil
}

func (s *session) onUpAck(body []byte) *code.Error {
	u, err := wire.ParseUpAck(body)
	if err != nil {
		return err
	}
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	if ch := s.c.sends[u.UpID]; ch != nil {
		select {
		case ch <- upResult{u.Code, hint(u.Code, u.RetryMS)}:
		default: // answered twice
		}
	}
	return nil
}
