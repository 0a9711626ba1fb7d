package dispatcher

import (
	"cmp"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// address is one entry of a group.
type address struct {
	addr string
	idc  string
}

// group chooses up to n addresses for a device, best first:
//
//  1. one of each room in the device's order, ports alternating, for some
//     networks block a port; the last place is kept for another IDC;
//  2. then the other ports of the same rooms.
//
// A held room keeps the first place, for its devices' sessions may live there;
// the other places go to rooms that the registry shows, while there are any.
// Failed addresses are left out, their rooms come after the others, and rooms
// in other IDCs before those in the failed ones. Only when nothing else is left
// are failed addresses given back.
func (f *fleet) group(device string, failed []string, n int) []address {
	key := xxhash.Sum64String(device)
	order, sound := f.order(key, failed)
	if n > 1 {
		f.spread(order[:sound], n)
	}
	group := f.pick(order, key, failed, n)
	if len(group) == 0 {
		group = f.pick(order, key, nil, n)
	}
	return group
}

// Classes of rooms; 0 is the best.
const (
	failedIDC  = 1 // a room beside it could not be reached
	failedRoom = 2
)

// order lists the rooms, best first, and says how many of them have no failed
// address and are not held behind the first place.
func (f *fleet) order(device uint64, failed []string) (order []int, sound int) {
	type rank struct {
		room  int
		class int
		score float64
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
			class = failedRoom
		case badIDC[r.IDC]:
			class = failedIDC
		}
		ranks[i] = rank{i, class, r.score(device)}
	}
	slices.SortFunc(ranks, func(a, b rank) int {
		return cmp.Or(cmp.Compare(a.class, b.class), cmp.Compare(b.score, a.score), cmp.Compare(a.room, b.room))
	})
	if f.states["held"] > 0 {
		slices.SortStableFunc(ranks[1:], func(a, b rank) int {
			return cmp.Compare(behind(a.class, f.rooms[a.room].Held), behind(b.class, f.rooms[b.room].Held))
		})
	}
	order = make([]int, len(ranks))
	for i, r := range ranks {
		order[i] = r.room
		if i == 0 || behind(r.class, f.rooms[r.room].Held) == 0 {
			sound++
		}
	}
	return order, sound
}

// behind is how far a room stands back from all but the first place.
func behind(class int, held bool) int {
	switch {
	case class == failedRoom:
		return 2
	case held:
		return 1
	}
	return 0
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
