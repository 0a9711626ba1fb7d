package center

import (
	"sync"

	"longlink/pkg/code"
)

// budget bounds the pushes in flight, by device messages and by bytes.
type budget struct {
	maxTargets int
	maxBytes   int64

	mu      sync.Mutex
	targets int
	bytes   int64
}

// take admits a push, or answers RATE_LIMITED. free must follow once.
func (b *budget) take(targets int, bytes int64) *code.Error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.targets+targets > b.maxTargets || b.bytes+bytes > b.maxBytes {
		return code.Errorf(code.RateLimited, "%d device messages of %d bytes are in flight at this center, as many as it takes; retry after the hint", b.targets, b.bytes)
	}
	b.targets += targets
	b.bytes += bytes
	return nil
}

func (b *budget) free(targets int, bytes int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.targets -= targets
	b.bytes -= bytes
}

func (b *budget) used() (targets int, bytes int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.targets, b.bytes
}
