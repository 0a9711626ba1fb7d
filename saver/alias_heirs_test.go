package saver

import (
	"sync"
	"testing"
	"time"

	"longlink/pkg/cluster"
	"longlink/saver/ledger"
)

// products is a directory that a test changes.
type products struct {
	mu      sync.Mutex
	list    []*cluster.Product
	changed chan struct{}
}

func newProducts() *products { return &products{changed: make(chan struct{})} }

func (d *products) set(list ...*cluster.Product) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.list = list
	close(d.changed)
	d.changed = make(chan struct{})
}

func (d *products) Products() []*cluster.Product {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.list
}

func (d *products) Changed() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.changed
}

func (d *products) Product(name string) (*cluster.Product, bool) {
	for _, p := range d.Products() {
		if p.Name == name {
			return p, true
		}
	}
	return nil, false
}

func (d *products) Secrets() *cluster.Secrets { return &cluster.Secrets{} }

// TestANewProductInheritsNoAliases: of a deleted one of its name.
func TestANewProductInheritsNoAliases(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		s := w.start()
		now := time.Now()
		for _, d := range []string{"d1", "d2"} {
			if _, e := s.setAlias("ada", d, false); e != nil {
				t.Fatal(e)
			}
		}
		old := func(product, alias, device string) {
			if _, err := s.ledger.AddAlias(t.Context(), product, alias, device, ledger.AliasLimits{Devices: 10, Aliases: 10}); err != nil {
				t.Fatal(err)
			}
		}
		// Rows of now are old ones for a product that is made in two days.
		old("later", "ada", "d1")
		w.known.set(&cluster.Product{Name: "shop", CreatedMS: now.UnixMilli(), Incarnation: 1},
			&cluster.Product{Name: "later", CreatedMS: now.Add(2 * aliasGap).UnixMilli(), Incarnation: 2},
			&cluster.Product{Name: "grown", CreatedMS: now.Add(-2 * aliasYoung).UnixMilli(), Incarnation: 3})
		eventually(t, "the old aliases to be gone", func() bool {
			left, err := s.ledger.AliasDevices(t.Context(), "later", "ada", "", 10)
			return err == nil && len(left) == 0
		})
		if got := s.has("ada"); got != "d1 d2" {
			t.Errorf("shop's own: %s", got)
		}
		// Each incarnation is looked at once.
		old("later", "eve", "d1")
		w.known.set(w.known.Products()[:2]...)
		w.known.set(&cluster.Product{Name: "shop", CreatedMS: now.Add(2 * aliasGap).UnixMilli(), Incarnation: 9},
			&cluster.Product{Name: "later", CreatedMS: now.Add(2 * aliasGap).UnixMilli(), Incarnation: 2})
		eventually(t, "the old aliases to be gone", func() bool { return s.has("ada") == "" })
		if left, err := s.ledger.AliasDevices(t.Context(), "later", "eve", "", 10); err != nil || len(left) != 1 {
			t.Errorf("later was looked at twice: %v %v", left, err)
		}
	})
}
