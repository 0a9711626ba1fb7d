package cluster

import "sort"

// View is everybody at one revision. It is immutable.
type View struct {
	Revision uint64
	kinds    map[Kind]*members
}

// members is the instances of one kind.
type members struct {
	list   []Instance     // by id
	places map[string]int // in list, by id
	owners *owners
}

// NewView makes a view of the instances given.
func NewView(revision uint64, all []Instance) *View { return (*View)(nil).Next(revision, all) }

// Next makes the view that follows v. The owners of the slots of a kind whose
// ids have not changed are taken over from v, which may be nil.
func (v *View) Next(revision uint64, all []Instance) *View {
	n := &View{Revision: revision, kinds: map[Kind]*members{}}
	for _, i := range all {
		m := n.kinds[i.Kind]
		if m == nil {
			m = &members{}
			n.kinds[i.Kind] = m
		}
		m.list = append(m.list, i)
	}
	for k, m := range n.kinds {
		sort.SliceStable(m.list, func(a, b int) bool { return m.list[a].ID < m.list[b].ID })
		m.places = make(map[string]int, len(m.list))
		for place, i := range m.list {
			if _, twice := m.places[i.ID]; !twice {
				m.places[i.ID] = place
			}
		}
		m.owners = &owners{}
		if v != nil && m.sameIDs(v.kinds[k]) {
			m.owners = v.kinds[k].owners
		}
	}
	return n
}

func (m *members) sameIDs(o *members) bool {
	if o == nil || len(o.list) != len(m.list) {
		return false
	}
	for i := range m.list {
		if m.list[i].ID != o.list[i].ID {
			return false
		}
	}
	return true
}

// Kind lists the instances of a kind by id. The slice must not be changed.
func (v *View) Kind(k Kind) []Instance {
	if m := v.kinds[k]; m != nil {
		return m.list
	}
	return nil
}

// Get finds one instance.
func (v *View) Get(k Kind, id string) (Instance, bool) {
	if m := v.kinds[k]; m != nil {
		if place, ok := m.places[id]; ok {
			return m.list[place], true
		}
	}
	return Instance{}, false
}

// All lists every instance, by kind in starting order, then by id.
func (v *View) All() []Instance {
	var out []Instance
	for _, k := range Kinds {
		out = append(out, v.Kind(k)...)
	}
	return out
}

// Owner is the instance of a kind that owns a slot; false when there is none of
// the kind. The first question about a kind makes the table of that kind, at
// 4096 hashes an instance, unless Prepare has.
func (v *View) Owner(k Kind, s uint16) (Instance, bool) {
	m := v.kinds[k]
	if m == nil {
		return Instance{}, false
	}
	return m.list[m.owners.of(m.list)[s]], true
}

// Prepare makes the tables of owners of these kinds, so that nobody who asks
// for an owner pays for it.
func (v *View) Prepare(kinds ...Kind) {
	for _, k := range kinds {
		v.Owner(k, 0)
	}
}
