package center

import (
	"sync"

	"longlink/pkg/code"
)

// budget bounds the pushes in flight, by device messages and by bytes. The keys
// of one product have three quarters of it at most, so that what they hold for
// long, by a wait or by bodies that never end, leaves room for others; but never
// less than the largest push or body. The operator's keys have all of it.
type budget struct {
	most, share load // of all, of one product's keys

	mu       sync.Mutex
	all      load
	products map[string]load // of their keys; only those that hold something
}

// load is what is in flight.
type load struct {
	targets int
	bytes   int64
}

func newBudget(cfg Config) *budget {
	most := load{cfg.MaxInFlight, int64(cfg.MaxInFlightBytes)}
	return &budget{most: most, share: load{max(most.targets/4*3, maxDevices), most.bytes / 4 * 3}, products: map[string]load{}}
}

// take admits a push or a body, or answers RATE_LIMITED. payer is the product
// whose key the caller has, empty for the operator's. free must follow once.
func (b *budget) take(payer string, targets int, bytes int64) *code.Error {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := b.all.plus(targets, bytes)
	if all.beyond(b.most) {
		return code.Errorf(code.RateLimited, "%d device messages of %d bytes are in flight at this center, as many as it takes; retry after the hint", b.all.targets, b.all.bytes)
	}
	if payer != "" {
		has := b.products[payer]
		own := has.plus(targets, bytes)
		if own.beyond(b.share) {
			return code.Errorf(code.RateLimited, "%d device messages of %d bytes with keys of product %s are in flight at this center, as many as it may have; retry after the hint", has.targets, has.bytes, payer)
		}
		b.products[payer] = own
	}
	b.all = all
	return nil
}

func (b *budget) free(payer string, targets int, bytes int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all = b.all.plus(-targets, -bytes)
	if payer == "" {
		return
	}
	if own := b.products[payer].plus(-targets, -bytes); own == (load{}) {
		delete(b.products, payer)
	} else {
		b.products[payer] = own
	}
}

func (b *budget) used() (targets int, bytes int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.targets, b.all.bytes
}

func (l load) plus(targets int, bytes int64) load {
	return load{l.targets + targets, l.bytes + bytes}
}

func (l load) beyond(limit load) bool { return l.targets > limit.targets || l.bytes > limit.bytes }
