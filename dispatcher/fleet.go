package dispatcher

import (
	"encoding/binary"
	"math"

	"github.com/cespare/xxhash/v2"

	"longlink/pkg/cluster"
)

// fleet is the rooms of one view that take devices. It is immutable.
type fleet struct {
	view  *cluster.View
	loads *loads
	rooms []room
	// owner finds the room of an address.
	owner  map[string]int
	states map[string]int // number of rooms by the label of dispatcher_rooms
}

type room struct {
	cluster.Instance
	seed   uint64
	weight float64
}

// usualCapacity is the weight of a room that does not say its capacity.
const usualCapacity = 100_000

// newFleet leaves out the rooms that drain and those that are full by the
// figures, which may be nil. When all are full they stay: figures are seconds
// old, and a room that is full indeed says so with a hint when to come back.
func newFleet(v *cluster.View, l *loads) *fleet {
	f := &fleet{view: v, loads: l, owner: map[string]int{}, states: map[string]int{"ready": 0, "full": 0, "draining": 0, "held": 0}}
	var full []cluster.Instance
	for _, i := range v.Kind(cluster.Room) {
		switch {
		case i.State != cluster.Ready:
			f.states["draining"]++
			continue
		case len(i.Addresses) == 0:
			continue
		case l != nil && l.full[life{i.ID, i.Epoch}]:
			f.states["full"]++
			full = append(full, i)
			continue
		case i.Held:
			f.states["held"]++
		default:
			f.states["ready"]++
		}
		f.add(i)
	}
	if len(f.rooms) == 0 {
		for _, i := range full {
			f.add(i)
		}
	}
	return f
}

func (f *fleet) add(i cluster.Instance) {
	for _, a := range i.Addresses {
		f.owner[a] = len(f.rooms)
	}
	weight := float64(usualCapacity)
	if i.Capacity > 0 {
		weight = float64(i.Capacity)
	}
	f.rooms = append(f.rooms, room{i, xxhash.Sum64String(i.ID), weight})
}

// score orders the rooms for a device: rendezvous hashing with weights, -w/ln h
// for a hash h in (0,1), which gives each room its share of the devices and
// moves none but those of a room that comes, goes, or changes (the logarithmic
// method of Schindelhauer and Schomaker, "Weighted distributed hash tables",
// SPAA 2005). The weights are configured capacities, never loads, which would
// move devices all the time.
func (r room) score(device uint64) float64 {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:8], r.seed)
	binary.LittleEndian.PutUint64(b[8:], device)
	h := (float64(xxhash.Sum64(b[:])>>11) + 0.5) / (1 << 53)
	return -r.weight / math.Log(h)
}
