package keeper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"longlink/pkg/cluster"
	"longlink/pkg/code"
	"longlink/pkg/token"
	"longlink/pkg/wire"
)

// maxKeys of one product that work at the same time; a rotation beyond it ends
// the oldest ones at once.
const maxKeys = 8

// deletedFor is how long a deleted product's name stays unused: its messages
// are in lanes under that name until the longest ttl (30 days) is over, and a
// new product must not inherit them.
const deletedFor = 31 * 24 * time.Hour

// CreateProduct makes a product with one API key, which is returned and never
// shown again, and one grant secret. Errors: INVALID_ARGUMENT (name),
// ALREADY_EXISTS, FAILED_PRECONDITION (a product of that name was deleted less
// than 31 days ago), UNAVAILABLE. When it returns, this client's Directory has the
// product; others have it a moment later.
func (c *Client) CreateProduct(ctx context.Context, name string) (*cluster.Product, string, error) {
	if !wire.ValidName(name) {
		return nil, "", invalidProduct()
	}
	key, hash := token.NewKey(time.Now())
	p := newProduct(name, hash)
	grave, err := c.get(ctx, deletedPrefix+name)
	if err != nil {
		return nil, "", err
	}
	seen := int64(0)
	if len(grave.Kvs) > 0 {
		seen = grave.Kvs[0].ModRevision
		var d deletedProduct
		if err := json.Unmarshal(grave.Kvs[0].Value, &d); err != nil {
			return nil, "", fmt.Errorf("%s%s in etcd is damaged: %w", deletedPrefix, name, err)
		}
		if free := time.UnixMilli(d.DeletedMS).Add(deletedFor); time.Now().Before(free) {
			return nil, "", code.Errorf(code.FailedPrecondition, "a product %s was deleted and its messages may live until %s: take another name, or wait",
				name, free.UTC().Format(time.RFC3339)).WithField("name")
		}
	}
	resp, err := c.txn(ctx, []clientv3.Cmp{missing(productsPrefix + name), clientv3.Compare(clientv3.ModRevision(deletedPrefix+name), "=", seen)},
		clientv3.OpPut(productsPrefix+name, encode(p)), clientv3.OpDelete(deletedPrefix+name))
	if err != nil {
		return nil, "", err
	}
	if !resp.Succeeded {
		return nil, "", code.Errorf(code.AlreadyExists, "there is a product %s already", name)
	}
	p.Revision = resp.Header.Revision
	c.settle(ctx, c.directory.products, resp.Header.Revision)
	return p, key, nil
}

// RotateKey gives a product a new API key, which is returned and never shown
// again. The old ones go on for Config.KeyOverlap (24 h by default), so that
// the business side can change over without a gap; with now they end at once.
// Errors: UNKNOWN_PRODUCT, CONFLICT, UNAVAILABLE.
func (c *Client) RotateKey(ctx context.Context, name string, now bool) (*cluster.Product, string, error) {
	at := time.Now()
	key, hash := token.NewKey(at)
	end := at.Add(c.cfg.KeyOverlap.Std()).UnixMilli()
	p, err := c.updateProduct(ctx, name, func(p *cluster.Product) {
		old := slices.DeleteFunc(p.Keys, func(k cluster.KeyHash) bool {
			return now || (k.ExpiresMS != 0 && k.ExpiresMS <= at.UnixMilli())
		})
		for i := range old {
			if old[i].ExpiresMS == 0 || old[i].ExpiresMS > end {
				old[i].ExpiresMS = end
			}
		}
		if len(old) >= maxKeys {
			old = old[:maxKeys-1]
		}
		p.Keys = append([]cluster.KeyHash{hash}, old...)
	})
	return p, key, err
}

// deletedProduct is what stays of a deleted product.
type deletedProduct struct {
	DeletedMS int64 `json:"deleted_ms"`
}

// DeleteProduct removes a product; its keys, grants and bindings end with it,
// and its name is not given again for 31 days. Errors: UNKNOWN_PRODUCT, UNAVAILABLE.
func (c *Client) DeleteProduct(ctx context.Context, name string) error {
	if !wire.ValidName(name) {
		return invalidProduct()
	}
	resp, err := c.txn(ctx, []clientv3.Cmp{clientv3.Compare(clientv3.CreateRevision(productsPrefix+name), ">", 0)},
		clientv3.OpDelete(productsPrefix+name), clientv3.OpPut(deletedPrefix+name, encode(deletedProduct{time.Now().UnixMilli()})))
	if err != nil {
		return err
	}
	if !resp.Succeeded {
		return unknownProduct(name)
	}
	c.settle(ctx, c.directory.products, resp.Header.Revision)
	return nil
}

// updateProduct reads, changes and puts back, again when somebody else did so
// in between.
func (c *Client) updateProduct(ctx context.Context, name string, change func(*cluster.Product)) (*cluster.Product, error) {
	if !wire.ValidName(name) {
		return nil, invalidProduct()
	}
	key := productsPrefix + name
	for range maxRaces {
		got, err := c.get(ctx, key)
		if err != nil {
			return nil, err
		}
		if len(got.Kvs) == 0 {
			return nil, unknownProduct(name)
		}
		p, err := parseProduct(got.Kvs[0])
		if err != nil {
			return nil, fmt.Errorf("%s in etcd is damaged: %w", key, err)
		}
		change(p)
		resp, err := c.txn(ctx, []clientv3.Cmp{clientv3.Compare(clientv3.ModRevision(key), "=", p.Revision)}, clientv3.OpPut(key, encode(p)))
		if err != nil {
			return nil, err
		}
		if resp.Succeeded {
			p.Revision = resp.Header.Revision
			c.settle(ctx, c.directory.products, p.Revision)
			return p, nil
		}
	}
	return nil, code.Errorf(code.Conflict, "product %s is being changed by others: try again", name)
}

func newProduct(name string, key cluster.KeyHash) *cluster.Product {
	now := time.Now()
	return &cluster.Product{Name: name, CreatedMS: now.UnixMilli(), Keys: []cluster.KeyHash{key},
		GrantSecrets: []cluster.GrantSecret{token.NewSecret()}, Incarnation: uint64(now.UnixMicro())}
}

func invalidProduct() error {
	return code.Invalid("product", "must be 1 to 64 characters A-Z a-z 0-9 . _ ~ -")
}

func unknownProduct(name string) error {
	return code.Errorf(code.UnknownProduct, "there is no product %s", name).WithField("product")
}

// encode marshals what always can be.
func encode(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func missing(key string) clientv3.Cmp {
	return clientv3.Compare(clientv3.CreateRevision(key), "=", 0)
}

func (c *Client) get(ctx context.Context, key string) (*clientv3.GetResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.RequestTimeout.Std())
	defer cancel()
	resp, err := c.etcd.Get(ctx, key)
	return resp, away(err)
}

func (c *Client) txn(ctx context.Context, cmps []clientv3.Cmp, then ...clientv3.Op) (*clientv3.TxnResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.RequestTimeout.Std())
	defer cancel()
	resp, err := c.etcd.Txn(ctx).If(cmps...).Then(then...).Commit()
	return resp, away(err)
}

// away is the answer while etcd cannot be reached; a write may have happened.
func away(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, context.Canceled) {
		return err
	}
	return code.Errorf(code.Unavailable, "etcd does not answer (%v); look before you try again, it may have been done", err)
}

// settle waits until the own copy shows what was written, so that the writer
// reads its own writes. Not getting there in time is no error: the write is
// done.
func (c *Client) settle(ctx context.Context, f following, revision int64) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.RequestTimeout.Std())
	defer cancel()
	if err := c.catchUp(ctx, f, revision); err != nil {
		c.log.Warn("the own copy is behind after a write", "revision", revision, "err", err)
	}
}
