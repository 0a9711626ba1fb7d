package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"longlink/pkg/code"
	"longlink/pkg/sdk"
)

// upstream is one --send.
type upstream struct {
	product, kind, text string
}

// sends reads --send: KIND=TEXT in the first product, or P/KIND=TEXT.
func (c *deviceCmd) sends() (list []upstream, err error) {
	for _, v := range c.Send {
		name, text, ok := strings.Cut(v, "=")
		u := upstream{kind: name, text: text}
		if product, kind, named := strings.Cut(name, "/"); named {
			u.product, u.kind = product, kind
		} else if len(c.Product) > 0 {
			u.product = c.Product[0]
		}
		if !ok || u.kind == "" || u.product == "" {
			return nil, usagef("--send %s: write KIND=TEXT, or PRODUCT/KIND=TEXT", v)
		}
		list = append(list, u)
	}
	return list, nil
}

// sender sends the same data from each device, once it has connected.
type sender struct {
	list   []upstream
	out    *printer
	stored atomic.Int64
}

// run sends one after the other. What is refused is said, and the next one goes
// on.
func (s *sender) run(ctx context.Context, id string, d *sdk.Client, connected <-chan struct{}) error {
	select {
	case <-connected:
	case <-ctx.Done():
		return nil
	}
	for _, u := range s.list {
		err := d.Send(ctx, u.product, u.kind, sdk.SendText, []byte(u.text))
		if ctx.Err() != nil {
			return nil
		}
		if err == nil {
			s.stored.Add(1)
		}
		if err := s.out.sent(id, u, err); err != nil {
			return err
		}
	}
	return nil
}

// judge is the error of a run of so many devices that did not send everything.
func (s *sender) judge(devices int) error {
	if all := devices * len(s.list); int(s.stored.Load()) < all {
		return fmt.Errorf("%d of %d sends were not stored", all-int(s.stored.Load()), all)
	}
	return nil
}

// sent says what became of a send.
func (p *printer) sent(device string, u upstream, err error) error {
	o := map[string]any{"type": "stored", "device": device, "product": u.product, "kind": u.kind}
	if err == nil {
		return p.line(o, "%s  %s  %s stored", device, u.product, u.kind)
	}
	var ce *code.Error
	if errors.As(err, &ce) {
		o["code"] = ce.Code.String()
	}
	o["type"], o["reason"] = "refused", err.Error()
	return p.line(o, "%s  %s  %s not stored: %s", device, u.product, u.kind, err)
}
