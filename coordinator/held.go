package coordinator

import (
	"sync"

	"longlink/pkg/api"
	"longlink/pkg/code"
)

// itemOverhead is what an item costs beside its ext and payload, roughly.
const itemOverhead = 512

func sizeOf(it *api.UpItem) int { return itemOverhead + len(it.Ext) + len(it.Payload) }

// held counts the bytes of upstream data that are on their way to savers. One
// product may have half of what is allowed in all, so that a flood of one
// leaves room for the others. Safe for use by many goroutines.
type held struct {
	limit int

	mu       sync.Mutex
	total    int            // guarded by mu
	products map[string]int // guarded by mu; of those that have anything
}

func newHeld(limit int) *held { return &held{limit: limit, products: map[string]int{}} }

// take counts bytes in: HOLD when the product has too many on their way,
// RATE_LIMITED when all together do. give takes them out.
func (h *held) take(product string, size int) *code.Error {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.products[product]+size > h.limit/2:
		return code.Errorf(code.Hold, "too much upstream data of product %q is on its way", product)
	case h.total+size > h.limit:
		return code.Errorf(code.RateLimited, "too much upstream data is on its way")
	}
	h.total += size
	h.products[product] += size
	return nil
}

func (h *held) give(product string, size int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.total -= size
	if h.products[product] -= size; h.products[product] == 0 {
		delete(h.products, product)
	}
}

// bytes is the sum, for the metric.
func (h *held) bytes() float64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return float64(h.total)
}
