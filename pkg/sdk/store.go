package sdk

import (
	"maps"
	"slices"
	"sync"
)

// State is all that a device remembers over restarts.
type State struct {
	Epoch     uint64              `json:"epoch"`               // the highest session epoch ever got
	Resume    []byte              `json:"resume,omitempty"`    // resume token of the last WELCOME
	Products  map[string]Cursor   `json:"products,omitempty"`  // by product
	Addresses map[string][]string `json:"addresses,omitempty"` // by network: the last group, last good first
}

// Cursor is how far a product is consumed.
type Cursor struct {
	Seq     uint64            `json:"seq"`                // of the lane
	HasBase bool              `json:"has_base,omitempty"` // Base is to be believed
	Base    uint64            `json:"base,omitempty"`     // broadcasts at or below are consumed
	Seen    map[uint16]uint64 `json:"seen,omitempty"`     // highest consumed seq by place
}

// CursorStore keeps States. Save returns when the state will survive a crash:
// acknowledgements leave after it. The client calls the methods from one
// goroutine at a time; one store may serve several devices at once.
type CursorStore interface {
	// Load returns the device's state, the zero State if there is none.
	Load(device string) (State, error)
	Save(device string, s State) error
}

func (s State) clone() State {
	s.Resume = slices.Clone(s.Resume)
	products := make(map[string]Cursor, len(s.Products))
	for name, c := range s.Products {
		c.Seen = maps.Clone(c.Seen)
		products[name] = c
	}
	s.Products = products
	addresses := make(map[string][]string, len(s.Addresses))
	for network, list := range s.Addresses {
		addresses[network] = slices.Clone(list)
	}
	s.Addresses = addresses
	return s
}

// MemoryStore is a CursorStore that lives as long as the process.
type MemoryStore struct {
	mu     sync.Mutex
	states map[string]State
}

// NewMemoryStore makes an empty store.
func NewMemoryStore() *MemoryStore { return &MemoryStore{states: map[string]State{}} }

// Load implements CursorStore; it never fails.
func (m *MemoryStore) Load(device string) (State, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.states[device].clone(), nil
}

// Save implements CursorStore; it never fails.
func (m *MemoryStore) Save(device string, s State) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.states[device] = s.clone()
	return nil
}
