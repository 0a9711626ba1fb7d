package keeper

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"longlink/pkg/cluster"
	"longlink/pkg/code"
	"longlink/pkg/token"
)

// maxOperatorKeys that work at the same time; the oldest one leaves when a new
// one comes.
const maxOperatorKeys = 16

// demoProduct is made for people who try the gateway.
const demoProduct = "demo"

// Bootstrap is what a start makes sure of.
type Bootstrap struct {
	// OperatorKey, in clear, is to work as an operator's API key; "": as it is.
	OperatorKey string
	// DemoKey, in clear, is to work as an API key of product demo, which is made
	// at the first start that asks for it, and not again after it was deleted.
	DemoKey string
}

// Bootstrap makes the token secret when there is none, and what b asks for. Any
// number of processes may do it at once, and again after a crash at any point:
// the callers keep the keys, so none is ever lost.
func (c *Client) Bootstrap(ctx context.Context, b Bootstrap) error {
	if err := c.bootstrapSecrets(ctx, b.OperatorKey); err != nil {
		return err
	}
	if b.DemoKey == "" {
		return nil
	}
	return c.bootstrapDemo(ctx, b.DemoKey)
}

func (c *Client) bootstrapSecrets(ctx context.Context, operatorKey string) error {
	var hash cluster.KeyHash
	if operatorKey != "" {
		var err error
		if hash, err = token.HashKey(operatorKey, time.Now()); err != nil {
			return fmt.Errorf("the operator's key cannot be used: %w", err)
		}
	}
	return c.updateSecrets(ctx, func(s *cluster.Secrets) {
		if len(s.TokenSecrets) == 0 {
			s.TokenSecrets = []cluster.GrantSecret{token.NewSecret()}
		}
		if hash.Hash == "" || slices.ContainsFunc(s.OperatorKeys, func(k cluster.KeyHash) bool { return k.Hash == hash.Hash }) {
			return
		}
		s.OperatorKeys = append(s.OperatorKeys, hash)
		if n := len(s.OperatorKeys); n > maxOperatorKeys {
			s.OperatorKeys = s.OperatorKeys[n-maxOperatorKeys:]
		}
	})
}

// RemoveOperatorKey ends the operator keys with an ID as KeyHash has it.
// Errors: NOT_FOUND, CONFLICT, UNAVAILABLE.
func (c *Client) RemoveOperatorKey(ctx context.Context, id string) error {
	found := false
	err := c.updateSecrets(ctx, func(s *cluster.Secrets) {
		n := len(s.OperatorKeys)
		s.OperatorKeys = slices.DeleteFunc(s.OperatorKeys, func(k cluster.KeyHash) bool { return k.ID == id })
		found = len(s.OperatorKeys) < n
	})
	if err == nil && !found {
		return code.Errorf(code.NotFound, "no operator key has the id %s", id)
	}
	return err
}

func (c *Client) updateSecrets(ctx context.Context, change func(*cluster.Secrets)) error {
	for range maxRaces {
		got, err := c.get(ctx, secretsKey)
		if err != nil {
			return err
		}
		var s cluster.Secrets
		var seen int64
		var old string
		if len(got.Kvs) > 0 {
			kv := got.Kvs[0]
			seen, old = kv.ModRevision, string(kv.Value)
			if err := json.Unmarshal(kv.Value, &s); err != nil {
				return fmt.Errorf("%s in etcd is damaged: %w; restore it from a backup", secretsKey, err)
			}
		}
		change(&s)
		value := encode(s)
		if value == old {
			c.settle(ctx, c.directory.shared, seen)
			return nil
		}
		resp, err := c.txn(ctx, []clientv3.Cmp{clientv3.Compare(clientv3.ModRevision(secretsKey), "=", seen)}, clientv3.OpPut(secretsKey, value))
		if err != nil {
			return err
		}
		if resp.Succeeded {
			c.settle(ctx, c.directory.shared, resp.Header.Revision)
			return nil
		}
	}
	return code.Errorf(code.Conflict, "the secrets are being changed by others: try again")
}

func (c *Client) bootstrapDemo(ctx context.Context, key string) error {
	hash, err := token.HashKey(key, time.Now())
	if err != nil {
		return fmt.Errorf("product %s's key cannot be used: %w", demoProduct, err)
	}
	product, marker := productsPrefix+demoProduct, bootstrapPrefix+demoProduct
	resp, err := c.txn(ctx, []clientv3.Cmp{missing(marker), missing(product)},
		clientv3.OpPut(product, encode(newProduct(demoProduct, hash))),
		clientv3.OpPut(marker, time.Now().UTC().Format(time.RFC3339)))
	if err != nil {
		return err
	}
	if resp.Succeeded {
		c.settle(ctx, c.directory.products, resp.Header.Revision)
		return nil
	}
	got, err := c.get(ctx, product)
	if err != nil || len(got.Kvs) == 0 {
		return err
	}
	if hasKey(got.Kvs[0], hash.Hash) {
		c.settle(ctx, c.directory.products, got.Kvs[0].ModRevision)
		return nil
	}
	_, err = c.updateProduct(ctx, demoProduct, func(p *cluster.Product) {
		if slices.ContainsFunc(p.Keys, func(k cluster.KeyHash) bool { return k.Hash == hash.Hash }) {
			return
		}
		if len(p.Keys) >= maxKeys {
			p.Keys = p.Keys[:maxKeys-1]
		}
		p.Keys = append([]cluster.KeyHash{hash}, p.Keys...)
	})
	return err
}

func hasKey(kv *mvccpb.KeyValue, hash string) bool {
	p, err := parseProduct(kv)
	return err == nil && slices.ContainsFunc(p.Keys, func(k cluster.KeyHash) bool { return k.Hash == hash })
}
