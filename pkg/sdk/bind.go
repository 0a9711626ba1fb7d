package sdk

import (
	"fmt"
	"slices"

	"longlink/pkg/code"
	"longlink/pkg/wire"
)

// addProduct puts a product on the list. Caller holds mu, or is New.
func (c *Client) addProduct(p Product) *product {
	p.Tags = slices.Clone(p.Tags)
	cur, known := c.state.Products[p.Name]
	pr := newProduct(p, cur, known)
	c.products[p.Name] = pr
	c.order = append(c.order, p.Name)
	return pr
}

// Bind adds a product, or gives it other tags or another grant; it is bound now
// or at the next login, and OnBound says what became of it.
func (c *Client) Bind(p Product) error {
	if err := p.check(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session != nil && len(c.session.out) > MaxOutbound/2 {
		return fmt.Errorf("%d bytes wait to be written already: bind product %q later", len(c.session.out), p.Name)
	}
	pr := c.products[p.Name]
	if pr == nil || !pr.wanted {
		n := 0
		for _, q := range c.products {
			if q.wanted {
				n++
			}
		}
		if n >= wire.MaxBindings {
			return fmt.Errorf("%d products are bound, at most %d fit on one connection", n, wire.MaxBindings)
		}
	}
	if pr == nil {
		pr = c.addProduct(p)
	}
	pr.Product, pr.wanted = p, true
	if s := c.session; s != nil && s.welcome != nil {
		s.bind(pr)
		s.poke()
	}
	return nil
}

// Unbind takes a product off; its cursor is kept for a later Bind.
func (c *Client) Unbind(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	pr := c.products[name]
	if pr == nil || !pr.wanted {
		return
	}
	pr.wanted = false
	c.settleAll(pr, code.Errorf(code.Unbound, "product %q was unbound by the app", name))
	if s := c.session; s != nil && s.bindings[name] != nil {
		delete(s.bindings, name)
		s.judgeConnected()
		if s.welcome != nil {
			s.out = wire.AppendUnbind(s.out, name)
			s.unbinding[name]++
			s.poke()
		}
	}
}
