package keeper

import (
	"context"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Bury has the instances of former lives of this process leave the views: those
// whose RPC addresses begin with prefix, which leads nowhere outside this process.
// It may be called before anything is announced. Without it a gateway that was
// killed and starts on other ports, under other ids, would share its slots with
// its dead registers until their leases end, and wait for its dead rooms, as for
// ones that are cut off from etcd, for register.hide_for after that.
func (c *Client) Bury(ctx context.Context, prefix string) error {
	revision := int64(0)
	for _, i := range c.views.View().All() {
		if i.Held || !strings.HasPrefix(i.RPC, prefix) {
			continue
		}
		i.State = left // under its lease; see leave
		key := instanceKey(i.Kind, i.ID)
		there := clientv3.Compare(clientv3.CreateRevision(key), "=", i.Entered)
		resp, err := c.txn(ctx, []clientv3.Cmp{there}, clientv3.OpPut(key, encode(i), clientv3.WithIgnoreLease()))
		if err != nil {
			return err
		}
		revision = resp.Header.Revision
	}
	if revision > 0 {
		c.settle(ctx, c.views.follower, revision)
	}
	return nil
}
