package keeper

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"go.etcd.io/etcd/api/v3/mvccpb"

	"longlink/pkg/cluster"
)

// Directory is the live copy of products and secrets; it implements
// cluster.Directory. What it returns is shared and must not be changed.
type Directory struct {
	products *follower[*cluster.Product]
	shared   *follower[*cluster.Secrets]

	mu      sync.RWMutex
	byName  map[string]*cluster.Product
	list    []*cluster.Product
	secrets *cluster.Secrets
	changed chan struct{}
}

var _ cluster.Directory = (*Directory)(nil)

func newDirectory(c *Client) *Directory {
	d := &Directory{secrets: &cluster.Secrets{}, changed: make(chan struct{})}
	d.products = newFollower(c, productsPrefix, parseProduct, d.setProducts)
	d.shared = newFollower(c, secretsKey, func(kv *mvccpb.KeyValue) (s *cluster.Secrets, err error) {
		return s, json.Unmarshal(kv.Value, &s)
	}, d.setSecrets)
	return d
}

func parseProduct(kv *mvccpb.KeyValue) (*cluster.Product, error) {
	p := &cluster.Product{Revision: kv.ModRevision}
	if err := json.Unmarshal(kv.Value, p); err != nil {
		return nil, err
	}
	if productsPrefix+p.Name != string(kv.Key) {
		return nil, fmt.Errorf("it describes product %q", p.Name)
	}
	return p, nil
}

func (d *Directory) setProducts(_ int64, all map[string]*cluster.Product) {
	byName := make(map[string]*cluster.Product, len(all))
	list := make([]*cluster.Product, 0, len(all))
	for _, p := range all {
		byName[p.Name] = p
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b *cluster.Product) int { return strings.Compare(a.Name, b.Name) })
	d.mu.Lock()
	d.byName, d.list = byName, list
	d.signal()
}

func (d *Directory) setSecrets(_ int64, all map[string]*cluster.Secrets) {
	s := all[secretsKey]
	if s == nil {
		s = &cluster.Secrets{}
	}
	d.mu.Lock()
	d.secrets = s
	d.signal()
}

// signal releases mu.
func (d *Directory) signal() {
	close(d.changed)
	d.changed = make(chan struct{})
	d.mu.Unlock()
}

// Product finds a product by its name.
func (d *Directory) Product(name string) (*cluster.Product, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	p, ok := d.byName[name]
	return p, ok
}

// Products lists all products by name.
func (d *Directory) Products() []*cluster.Product {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.list
}

// Secrets are what the whole cluster shares, never nil.
func (d *Directory) Secrets() *cluster.Secrets {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.secrets
}

// Changed returns a channel that is closed at the next change.
func (d *Directory) Changed() <-chan struct{} {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.changed
}
