// Package cluster holds the nouns by which instances know each other: the
// instance, the view of all of them at one revision, and who owns a slot.
// Keeper fills it; everybody reads it.
package cluster

import (
	"sort"
	"sync"

	"github.com/cespare/xxhash/v2"

	"longlink/pkg/slot"
)

// Kind is a service's name.
type Kind string

// The seven kinds.
const (
	Dispatcher  Kind = "dispatcher"
	Room        Kind = "room"
	Register    Kind = "register"
	Coordinator Kind = "coordinator"
	Saver       Kind = "saver"
	Center      Kind = "center"
	Keeper      Kind = "keeper"
)

// Kinds lists the seven in the order in which one process starts them.
var Kinds = []Kind{Keeper, Saver, Register, Coordinator, Center, Room, Dispatcher}

// State is what an instance says of itself.
type State string

// States of an instance.
const (
	Ready    State = "ready"
	Draining State = "draining"
)

// Instance is one running service as its registry key describes it.
type Instance struct {
	Kind      Kind     `json:"kind"`
	ID        string   `json:"id"`                  // stable over restarts
	Epoch     uint64   `json:"epoch"`               // one per process life; the higher is the living one
	State     State    `json:"state"`               // ready or draining
	Version   string   `json:"version"`             // of the program
	RPC       string   `json:"rpc"`                 // address for the other services
	Addresses []string `json:"addresses,omitempty"` // for outsiders: a room's TCP ports, center's and dispatcher's HTTP
	Ops       string   `json:"ops,omitempty"`       // /metrics and health
	IDC       string   `json:"idc,omitempty"`
	Capacity  int      `json:"capacity,omitempty"` // connections a room is configured for
	StartedMS int64    `json:"started_ms"`

	// Held: the registry lacks the instance, and the view keeps its last state
	// because too many of its kind vanished at once. A caller skips a held
	// instance that refuses connections.
	Held bool `json:"-"`
	// Entered is the registry's revision at which the instance came in, 0 where
	// there is none. Another one under the same epoch: it was away in between,
	// also for who has not seen the view without it.
	Entered int64 `json:"-"`
}

// View is everybody at one revision. It is immutable.
type View struct {
	Revision  uint64
	instances map[Kind][]Instance

	once   sync.Once
	owners map[Kind]*[slot.Count]uint16
}

// NewView makes a view of the instances given.
func NewView(revision uint64, all []Instance) *View {
	v := &View{Revision: revision, instances: map[Kind][]Instance{}}
	for _, i := range all {
		v.instances[i.Kind] = append(v.instances[i.Kind], i)
	}
	for _, list := range v.instances {
		sort.Slice(list, func(a, b int) bool { return list[a].ID < list[b].ID })
	}
	return v
}

// Kind lists the instances of a kind by id. The slice must not be changed.
func (v *View) Kind(k Kind) []Instance { return v.instances[k] }

// Get finds one instance.
func (v *View) Get(k Kind, id string) (Instance, bool) {
	for _, i := range v.instances[k] {
		if i.ID == id {
			return i, true
		}
	}
	return Instance{}, false
}

// All lists every instance, by kind in starting order, then by id.
func (v *View) All() []Instance {
	var out []Instance
	for _, k := range Kinds {
		out = append(out, v.instances[k]...)
	}
	return out
}

// Owner is the instance of a kind that owns a slot: the one with the highest
// hash of (instance id, slot) (rendezvous hashing, Thaler and Ravishankar,
// 1996), so that a change of the set moves only the slots it must.
func (v *View) Owner(k Kind, s uint16) (Instance, bool) {
	list := v.instances[k]
	if len(list) == 0 {
		return Instance{}, false
	}
	v.once.Do(v.computeOwners)
	return list[v.owners[k][s]], true
}

func (v *View) computeOwners() {
	v.owners = map[Kind]*[slot.Count]uint16{}
	for k, list := range v.instances {
		seeds := make([]uint64, len(list))
		for i, inst := range list {
			seeds[i] = xxhash.Sum64String(inst.ID)
		}
		t := new([slot.Count]uint16)
		for s := range t {
			var best uint64
			for i, seed := range seeds {
				if h := mix(seed ^ mix(uint64(s)+1)); i == 0 || h > best {
					best, t[s] = h, uint16(i)
				}
			}
		}
		v.owners[k] = t
	}
}

// mix is the finalizer of SplitMix64 (Steele, Lea and Flood, 2014).
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

// Views is where the current view comes from. Implementations are safe for use
// by many goroutines.
type Views interface {
	// View is the current one, never nil.
	View() *View
	// Changed returns a channel that is closed when a newer view than the given
	// one is there.
	Changed(than *View) <-chan struct{}
}
