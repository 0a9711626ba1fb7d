package dispatcher

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/cespare/xxhash/v2"

	"longlink/pkg/cluster"
)

// fleet is the rooms of one view that take devices. It is immutable.
type fleet struct {
	view  *cluster.View
	rooms []room
	// owner finds the room of an address.
	owner map[string]int
}

type room struct {
	cluster.Instance
	seed uint64
}

// address is one entry of a group.
type address struct {
	addr string
	idc  string
}

func newFleet(v *cluster.View) *fleet {
	f := &fleet{view: v, owner: map[string]int{}}
	for _, i := range v.Kind(cluster.Room) {
		if i.State != cluster.Ready || len(i.Addresses) == 0 {
			continue
		}
		for _, a := range i.Addresses {
			f.owner[a] = len(f.rooms)
		}
		f.rooms = append(f.rooms, room{i, xxhash.Sum64String(i.ID)})
	}
	return f
}

// weight orders the rooms for a device: rendezvous hashing (Thaler and
// Ravishankar, 1996), so that a room that comes or goes moves only its own
// devices.
func (r room) weight(device uint64) uint64 {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:8], r.seed)
	binary.LittleEndian.PutUint64(b[8:], device)
	return xxhash.Sum64(b[:])
}

// group chooses up to n addresses for a device, best first:
//
//  1. one of each room in the device's order, ports alternating, for some
//     networks block a port; the last place is kept for another IDC;
//  2. then the other ports of the same rooms.
//
// Failed addresses are left out, their rooms come after the others, and rooms
// in other IDCs before those in the failed ones. Only when nothing else is left
// are failed addresses given back.
func (f *fleet) group(device string, failed []string, n int) []address {
	key := xxhash.Sum64String(device)
	order := f.order(key, failed)
	if len(failed) == 0 && n > 1 {
		f.spread(order, n)
	}
	group := f.pick(order, key, failed, n)
	if len(group) == 0 {
		group = f.pick(order, key, nil, n)
	}
	return group
}

// order lists the rooms, best first.
func (f *fleet) order(device uint64, failed []string) []int {
	type rank struct {
		room   int
		class  int
		weight uint64
	}
	badRoom, badIDC := map[int]bool{}, map[string]bool{}
	for _, a := range failed {
		if i, ok := f.owner[a]; ok {
			badRoom[i] = true
			badIDC[f.rooms[i].IDC] = true
		}
	}
	ranks := make([]rank, len(f.rooms))
	for i, r := range f.rooms {
		class := 0
		switch {
		case badRoom[i]:
			class = 2
		case badIDC[r.IDC]:
			class = 1
		}
		ranks[i] = rank{i, class, r.weight(device)}
	}
	slices.SortFunc(ranks, func(a, b rank) int {
		return cmp.Or(cmp.Compare(a.class, b.class), cmp.Compare(b.weight, a.weight), cmp.Compare(a.room, b.room))
	})
	order := make([]int, len(ranks))
	for i, r := range ranks {
		order[i] = r.room
	}
	return order
}

// spread moves the best room of another IDC to the last place of the group when
// the first n rooms are all in one.
func (f *fleet) spread(order []int, n int) {
	if len(order) <= n {
		return
	}
	home := f.rooms[order[0]].IDC
	other := slices.IndexFunc(order, func(i int) bool { return f.rooms[i].IDC != home })
	if other < n {
		return // in the group already, or there is none
	}
	moved := order[other]
	copy(order[n:other+1], order[n-1:other])
	order[n-1] = moved
}

// pick takes one address of each room in turn until there are n.
func (f *fleet) pick(order []int, device uint64, failed []string, n int) []address {
	group := make([]address, 0, n)
	longest := 0
	for _, i := range order {
		longest = max(longest, len(f.rooms[i].Addresses))
	}
	for round := range longest {
		for place, i := range order {
			r := f.rooms[i]
			if round >= len(r.Addresses) {
				continue
			}
			a := r.Addresses[(device%uint64(len(r.Addresses))+uint64(place+round))%uint64(len(r.Addresses))]
			if slices.Contains(failed, a) {
				continue
			}
			group = append(group, address{a, r.IDC})
			if len(group) == n {
				return group
			}
		}
	}
	return group
}
