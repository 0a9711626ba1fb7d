package keeper

import (
	"context"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// probeLoop confirms contact every ProbeInterval with a cheap read that needs
// etcd's quorum, and logs when contact is lost and when it is back.
func (c *Client) probeLoop(ctx context.Context) error {
	t := time.NewTicker(c.cfg.ProbeInterval.Std())
	defer t.Stop()
	lost := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		err := c.probe(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && !lost:
			lost = true
			c.log.Warn("no contact with etcd; going on with the last view", "err", err)
		case err == nil && lost:
			lost = false
			c.log.Info("contact with etcd is back")
		}
	}
}

func (c *Client) probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.RequestTimeout.Std())
	defer cancel()
	newest := c.newest.Load() // shown before the answer, so no later than it
	resp, err := c.etcd.Get(ctx, secretsKey, clientv3.WithCountOnly())
	if err != nil {
		return err
	}
	h := resp.Header
	id := c.clusterID.Swap(h.ClusterId)
	if id != 0 && (id != h.ClusterId || h.Revision < newest) {
		c.contact(0)
		c.newest.Store(h.Revision)
		// Another etcd, or one that was restored from a backup: a watch from our
		// revision on would be silent until it gets there.
		c.log.Error("etcd's history was replaced: listing everything again. After a restore with --bump-revision this is harmless, else restart the services one by one",
			"cluster", fmt.Sprintf("%x", h.ClusterId), "revision", h.Revision, "was", newest)
		for _, f := range c.followers() {
			f.again()
		}
		return nil
	}
	c.contact(h.Revision)
	return nil
}
