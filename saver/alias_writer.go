package saver

import (
	"context"
	"slices"
	"time"

	"longlink/saver/ledger"
)

// put hands claims to the writer; wait: it is worth waiting for. When too many
// wait the oldest goes: its device's next login brings it.
func (c *claims) put(all []*claim) (wait bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, x := range all {
		k := x.key()
		if old := c.waiting[k]; old != nil {
			old.end()
		} else {
			c.order = append(c.order, k)
		}
		c.waiting[k] = x
	}
	c.bound()
	select {
	case c.wake <- struct{}{}:
	default:
	}
	return !c.failing
}

// bound drops what is too much beside the chunk that is being written. Under mu.
func (c *claims) bound() {
	over := len(c.waiting) - c.limit
	for ; over > 0 && len(c.order) > 0; over-- {
		c.waiting[c.order[0]].end()
		delete(c.waiting, c.order[0])
		c.order = c.order[1:]
		c.m.claim("REFUSED", 1)
	}
	c.m.claims.Set(float64(len(c.waiting) + len(c.leaving)))
}

func (c *claims) failed(n int, err error) {
	c.fails.saw(n, err)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failing = true
	select {
	case c.wake <- struct{}{}: // the writer finds out when it is over
	default:
	}
}

// run writes until ctx ends, and once more then.
func (c *claims) run(ctx context.Context) error {
	for ctx.Err() == nil {
		select {
		case <-c.wake:
		case <-ctx.Done():
		}
		for ctx.Err() == nil && c.write(context.WithoutCancel(ctx)) != nil {
			t := time.NewTimer(claimRest)
			select {
			case <-t.C:
			case <-ctx.Done():
			}
			t.Stop()
		}
	}
	if c.write(context.WithoutCancel(ctx)) != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.log.Warn("aliases that tokens name could not be written; the devices' next logins bring them", "count", len(c.waiting))
	}
	return nil
}

// write writes everything that waits. Without anything it only finds out whether
// the ledger is back.
func (c *claims) write(ctx context.Context) error {
	for {
		chunk := c.take()
		if len(chunk) == 0 && !c.isFailing() {
			return nil
		}
		wctx, cancel := context.WithTimeout(ctx, c.timeout)
		var full []ledger.AliasClaim
		var err error
		if len(chunk) > 0 {
			full, err = c.ledger.Claim(wctx, chunk, aliasDevices)
		} else {
			err = c.ledger.Ping(wctx)
		}
		cancel()
		c.done(err)
		if err != nil {
			c.failed(max(len(chunk), 1), err)
			return err
		}
		c.fails.fine()
		c.m.claim("WRITTEN", len(chunk)-len(full))
		c.sayFull(full)
	}
}

func (c *claims) isFailing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failing
}

// take moves the oldest to those that are being written.
func (c *claims) take() (chunk []ledger.AliasClaim) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now().UnixMilli()
	n := min(claimBatch, len(c.order))
	for _, k := range c.order[:n] {
		c.leaving[k] = c.waiting[k]
		delete(c.waiting, k)
		x := c.leaving[k].AliasClaim
		x.Late = now-x.AtMS > claimLate.Milliseconds()
		chunk = append(chunk, x)
	}
	c.order = c.order[n:]
	return chunk
}

// done ends a write. What was not written waits again, before all others, but
// not where a later claim has come.
func (c *claims) done(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var back []claimKey
	for k, x := range c.leaving {
		x.end()
		if err != nil && c.waiting[k] == nil {
			c.waiting[k] = x
			back = append(back, k)
		}
	}
	slices.SortFunc(back, func(a, b claimKey) int { return int(c.waiting[a].AtMS - c.waiting[b].AtMS) })
	c.order = append(back, c.order...)
	clear(c.leaving)
	c.failing = err != nil
	c.bound()
}

func (c *claims) sayFull(full []ledger.AliasClaim) {
	c.m.claim("FULL", len(full))
	if now := time.Now(); len(full) > 0 && now.Sub(c.fullSaid) >= claimFullEvery {
		c.fullSaid = now
		c.log.Warn("an alias that a token names has as many devices as it may; the device is without; use a tag and a broadcast",
			"product", full[0].Product, "alias", full[0].Alias, "devices", aliasDevices)
	}
}

// len is how many claims have not reached the ledger.
func (c *claims) len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.waiting) + len(c.leaving)
}
