package sdk

import (
	"context"
	"slices"
	"time"
)

// changedState marks the state for the store goroutine. Caller holds mu.
func (c *Client) changedState() {
	c.version++
	select {
	case c.dirty <- struct{}{}:
	default:
	}
}

// storeLoop saves the state whenever it changed. What changes during a Save
// goes with the next one, so a flood of messages costs few writes. Lanes do not
// wait for it: with two fsyncs a message a backlog takes 200 times as long
// (7 ms a message instead of 35 µs, see BenchmarkBacklog).
func (c *Client) storeLoop(ctx context.Context) error {
	for fails := 0; ; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-c.dirty:
		}
		err := c.flush()
		if err == nil {
			fails = 0
			continue
		}
		fails++
		c.count.storeErrors.Add(1)
		pause := c.cfg.HandlerBackoff.delay(fails, c.cfg.Rand())
		c.cfg.Logger.Error("cannot save the cursors, acknowledgements wait", "err", err, "retry_in", pause)
		if !sleep(ctx, pause) {
			return ctx.Err()
		}
		c.mu.Lock()
		c.changedState()
		c.mu.Unlock()
	}
}

// flush saves one snapshot and then releases the acknowledgements that it
// covers. One goroutine at a time may call it.
func (c *Client) flush() error {
	type mark struct {
		gen    int
		places map[uint16]uint64
	}
	c.mu.Lock()
	version := c.version
	snap := c.state.clone()
	marks := make(map[*product]mark, len(c.products))
	for name, p := range c.products {
		if !p.known {
			continue
		}
		snap.Products[name] = p.snapshot()
		marks[p] = mark{p.own.gen, p.unsaved}
		p.unsaved = map[uint16]uint64{}
	}
	c.mu.Unlock()

	err := c.cfg.Store.Save(c.cfg.Device, snap)

	c.mu.Lock()
	defer c.mu.Unlock()
	for p, m := range marks {
		target := p.unacked
		if err != nil {
			target = p.unsaved
		}
		for place, seq := range m.places {
			target[place] = max(target[place], seq)
		}
		if seq := snap.Products[p.Name].Seq; err == nil && (m.gen == p.own.gen || seq <= p.cursor) {
			p.saved = max(p.saved, seq)
		}
	}
	if err != nil {
		return err
	}
	c.stored, c.savedVersion = snap, version
	if c.session != nil {
		c.session.poke()
	}
	return nil
}

// remember puts a good address first in the state's group. Caller holds mu.
func (c *Client) remember(addr string, group []string) {
	list := append([]string{addr}, slices.DeleteFunc(slices.Clone(group), func(a string) bool { return a == addr })...)
	c.state.Addresses[c.cfg.Network] = list[:min(len(list), maxGroup)]
	c.changedState()
}

// sleep waits for d; false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
