package keeper

import (
	"maps"
	"slices"
	"strings"
	"time"

	"longlink/pkg/cluster"
)

// shrinkLeast is the size from which on a kind is guarded: of fewer, one or two
// that crash are already half.
const shrinkLeast = 4

// maxHeld bounds a hold, so that its record stays below the 1.5 MiB that etcd
// takes in one request; what is beyond it, by id, leaves the view.
const maxHeld = 3000

// shrink guards one kind: when more than half of four or more vanish within the
// window, etcd or the network to it is the likelier culprit than that many
// crashes, and callers are better off with the last state than with what is
// left. So the vanished ones are held.
//
// A hold starts in every process that sees the shrink, is recorded in etcd by
// one of them (see record), and ends with that record, so that all views of one
// revision are alike. Instances that said that they leave, by draining or at
// their stop, are never held.
type shrink struct {
	window time.Duration
	off    bool // begins and widens no hold; those of others count all the same

	last map[string]cluster.Instance // listed when looked at last
	gone map[string]departure        // vanished lately and not back
	held map[string]cluster.Instance // nil: no hold
	rec  *record                     // that held was taken from
}

type departure struct {
	inst cluster.Instance
	at   time.Time
}

// see takes in what the registry has of the kind and the hold's record, nil when
// there is none, and returns who is held. It keeps listed, where those in state
// left are the ones that said so.
func (s *shrink) see(now time.Time, listed map[string]cluster.Instance, rec *record) map[string]cluster.Instance {
	if s.rec != nil && rec == nil { // over, for everybody
		for id := range s.rec.byID() {
			delete(s.gone, id)
		}
		s.held = nil
	}
	present := s.depart(now, listed)
	if rec != nil && (s.rec == nil || s.rec.revision != rec.revision) {
		s.held = rec.byID()
	}
	s.rec = rec
	if s.held == nil && s.shrunk(present) {
		s.held = map[string]cluster.Instance{}
	}
	if s.held != nil && !s.off {
		for id, d := range s.gone {
			if i, ok := s.held[id]; !ok || i.Epoch < d.inst.Epoch {
				s.held[id] = d.inst
			}
		}
	}
	for id := range s.held {
		if _, known := listed[id]; known {
			delete(s.held, id)
		}
	}
	if len(s.held) == 0 {
		s.held = nil
	}
	s.bound()
	return s.held
}

// depart brings gone up to date. While a hold lasts nobody's absence is old
// enough to be believed. It returns how many are present.
func (s *shrink) depart(now time.Time, listed map[string]cluster.Instance) (present int) {
	if s.gone == nil {
		s.gone = map[string]departure{}
	}
	for id, i := range s.last {
		if _, ok := listed[id]; !ok && i.State != cluster.Draining && i.State != left {
			s.gone[id] = departure{i, now}
		}
	}
	s.last = listed
	for id, d := range s.gone {
		if _, known := listed[id]; known || s.held == nil && now.Sub(d.at) > s.window {
			delete(s.gone, id)
		}
	}
	for _, i := range listed {
		if i.State != left {
			present++
		}
	}
	return present
}

func (s *shrink) shrunk(present int) bool {
	all := present + len(s.gone)
	return !s.off && all >= shrinkLeast && 2*len(s.gone) > all
}

func (s *shrink) bound() {
	if len(s.held) <= maxHeld {
		return
	}
	for _, id := range slices.Sorted(maps.Keys(s.held))[maxHeld:] {
		delete(s.held, id)
		delete(s.gone, id)
	}
}

// wanted is what the record should be, and whether it is that already.
func (s *shrink) wanted() (list []cluster.Instance, recorded bool) {
	for _, i := range s.held {
		list = append(list, i)
	}
	slices.SortFunc(list, func(a, b cluster.Instance) int { return strings.Compare(a.ID, b.ID) })
	if s.rec == nil {
		return list, len(list) == 0
	}
	return list, slices.EqualFunc(list, s.rec.Instances, func(a, b cluster.Instance) bool { return a.ID == b.ID && a.Epoch == b.Epoch })
}
