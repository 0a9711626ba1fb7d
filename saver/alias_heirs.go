package saver

import (
	"context"
	"time"

	"longlink/pkg/cluster"
)

// Aliases stay in the ledger when their product is deleted. A new product of the
// name is another owner's, and must not reach the old one's devices.
const (
	// aliasYoung is how long a product counts as new: longer than all savers are
	// ever away, and each looks at a product once in its life.
	aliasYoung = 31 * 24 * time.Hour
	// aliasGap separates the aliases of the old product from the new one's, for
	// clocks that differ: a deleted name rests for 31 days (keeper).
	aliasGap = 24 * time.Hour
	// aliasRest is between two tries when the ledger does not answer.
	aliasRest = 5 * time.Second
)

// disinherit removes, for every product that was made lately, the aliases of a
// deleted one of the same name, until ctx ends.
func (s *Saver) disinherit(ctx context.Context) error {
	done := map[string]uint64{} // product to incarnation; as many as there are products
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		changed := s.deps.Directory.Changed()
		err := s.disinheritNew(ctx, done)
		rest := maintainEvery
		if err == nil {
			s.troubles.heirs.fine()
		} else if ctx.Err() == nil {
			s.troubles.heirs.saw(1, err)
			rest = aliasRest
		}
		t.Reset(rest)
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-t.C:
		}
	}
}

func (s *Saver) disinheritNew(ctx context.Context, done map[string]uint64) error {
	products := s.deps.Directory.Products()
	names := make(map[string]bool, len(products))
	for _, p := range products {
		names[p.Name] = true
		if seen, ok := done[p.Name]; ok && seen == p.Incarnation || !newProduct(p) {
			continue
		}
		err := s.ledger.DropAliases(ctx, p.Name, p.CreatedMS-aliasGap.Milliseconds())
		if err != nil {
			return err
		}
		done[p.Name] = p.Incarnation
	}
	for name := range done {
		if !names[name] {
			delete(done, name)
		}
	}
	return nil
}

func newProduct(p *cluster.Product) bool {
	return time.Since(time.UnixMilli(p.CreatedMS)) < aliasYoung
}
