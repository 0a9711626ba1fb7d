package cluster

import "sync"

// Holder is a Views that somebody sets: keeper's watch, or a test.
type Holder struct {
	mu      sync.Mutex
	view    *View
	changed chan struct{}
}

// NewHolder starts with the given instances at revision 1.
func NewHolder(all ...Instance) *Holder {
	return &Holder{view: NewView(1, all), changed: make(chan struct{})}
}

// Set replaces the view; one with a lower revision is ignored.
func (h *Holder) Set(v *View) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if v.Revision < h.view.Revision {
		return
	}
	h.view = v
	close(h.changed)
	h.changed = make(chan struct{})
}

// View implements Views.
func (h *Holder) View() *View {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.view
}

// Changed implements Views.
func (h *Holder) Changed(than *View) <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.view != than {
		c := make(chan struct{})
		close(c)
		return c
	}
	return h.changed
}
