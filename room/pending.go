package room

import (
	"context"
	"sync"
)

// pending counts calls whose answers a stopping room waits for. The zero value
// is ready; safe for use by many goroutines.
type pending struct {
	mu    sync.Mutex
	n     int
	empty chan struct{} // closed when n reaches 0; nil while nobody waits
}

func (p *pending) add() {
	p.mu.Lock()
	p.n++
	p.mu.Unlock()
}

func (p *pending) done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.n--; p.n == 0 && p.empty != nil {
		close(p.empty)
		p.empty = nil
	}
}

// wait returns when nothing is pending or ctx ends, and what is still pending.
func (p *pending) wait(ctx context.Context) int {
	for {
		p.mu.Lock()
		if p.n == 0 || ctx.Err() != nil {
			defer p.mu.Unlock()
			return p.n
		}
		if p.empty == nil {
			p.empty = make(chan struct{})
		}
		empty := p.empty
		p.mu.Unlock()
		select {
		case <-empty:
		case <-ctx.Done():
		}
	}
}
