package rpc

import (
	"context"

	"longlink/pkg/cluster"
)

// serving is the instance that a worker's next batch goes to: this one, or where
// any instance serves another one, while this one does not answer or has left.
func (d *dest[I, R]) serving(worker int) cluster.Instance {
	p := d.c.peers
	if d.c.cfg.AnyServes && (d.gone.Load() || p.Refuses(d.inst)) {
		return p.spare(d.inst, uint64(worker))
	}
	return d.inst
}

// retire stops a queue once what it holds has gone to others, at the latest after
// two timeouts. Until then it stays, so that nothing overtakes what is in it. An
// instance that is back in the view meanwhile keeps its queue. c.mu is held.
func (c *Caller[I, R]) retire(key string, d *dest[I, R]) {
	if d.retiring {
		return
	}
	c.peers.mu.Lock()
	g := c.peers.group
	if g != nil {
		d.retiring = true
		g.Task("rpc.retire", func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, 2*c.cfg.Timeout)
			defer cancel()
			stuck := d.queue.Flush(ctx) != nil
			c.mu.Lock()
			defer c.mu.Unlock()
			d.retiring = false
			if d.gone.Load() {
				d.stop() // drops what is stuck, or came just now
				delete(c.dests, key)
			}
			if stuck && c.peers.log != nil {
				c.peers.log.Debug("what waited for an instance that left could not all be moved", "target", c.cfg.Target, "instance", d.inst.ID)
			}
			return nil
		})
	}
	c.peers.mu.Unlock()
}
