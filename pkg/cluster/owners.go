package cluster

import (
	"sync"

	"github.com/cespare/xxhash/v2"

	"longlink/pkg/slot"
)

// owners is who owns each slot among the instances of one kind: the one with the
// highest hash of (instance id, slot) (rendezvous hashing, Thaler and
// Ravishankar, 1996), so that a change of the set moves only the slots it must.
// The table is made once and shared by all views that have the same ids.
type owners struct {
	once  sync.Once
	table *[slot.Count]uint16 // places in the list of instances
}

func (o *owners) of(list []Instance) *[slot.Count]uint16 {
	o.once.Do(func() { o.table = rendezvous(list) })
	return o.table
}

func rendezvous(list []Instance) *[slot.Count]uint16 {
	t := new([slot.Count]uint16)
	var best, hash [slot.Count]uint64
	for s := range hash {
		hash[s] = mix(uint64(s) + 1)
	}
	for i, inst := range list {
		seed := xxhash.Sum64String(inst.ID)
		for s := range t {
			if h := mix(seed ^ hash[s]); i == 0 || h > best[s] {
				best[s], t[s] = h, uint16(i)
			}
		}
	}
	return t
}

// mix is the finalizer of SplitMix64 (Steele, Lea and Flood, 2014).
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}
