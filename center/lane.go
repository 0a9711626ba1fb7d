package center

import (
	"cmp"
	"slices"

	"longlink/pkg/code"
)

// lane keeps the order of a flight's messages for one device and product. All
// of them are appended at once, in order, and the callers keep that order. What
// could break it is a repetition: so refused appends are repeated only when
// none is on its way, together and in order, and never after a later message
// was stored: then the refusal is the answer, and repeating it the caller's
// decision. Owned by flight.run.
type lane struct {
	size    int       // targets
	flying  int       // appends that are not answered
	newest  int       // place of the newest message that was stored; places count from 1
	refused []*target // to be repeated
}

// findLanes gives each target its lane, where it is not alone in it.
func findLanes(pushes []*push) {
	type key struct{ device, product string }
	lanes := map[key]*lane{}
	var all []*target
	for _, p := range pushes {
		for _, t := range p.targets {
			if t.err != nil || p.msg.Qos == 0 {
				continue
			}
			k := key{t.device, p.product}
			if lanes[k] == nil {
				lanes[k] = &lane{}
			}
			t.lane = lanes[k]
			t.lane.size++
			t.place = t.lane.size
			all = append(all, t)
		}
	}
	for _, t := range all {
		if t.lane.size == 1 {
			t.lane = nil
		}
	}
}

// refusedAppend is the answer of a saver that has stored nothing and may do so
// soon.
func (f *flight) refusedAppend(t *target, err *code.Error) {
	t.refusal = err
	if t.lane == nil {
		f.appendAgain([]*target{t})
		return
	}
	t.lane.refused = append(t.lane.refused, t)
}

// landed follows every answer of an append to the lane.
func (f *flight) landed(l *lane) {
	l.refused = slices.DeleteFunc(l.refused, func(t *target) bool {
		overtaken := t.place < l.newest
		if overtaken {
			f.answered(t, 0, t.refusal)
		}
		return overtaken
	})
	if l.flying > 0 || len(l.refused) == 0 {
		return
	}
	list := l.refused
	l.refused = nil
	slices.SortFunc(list, func(a, b *target) int { return cmp.Compare(a.place, b.place) })
	f.appendAgain(list)
}

// appendAgain repeats the appends of one lane.
func (f *flight) appendAgain(list []*target) {
	ok := f.again(list[0], "append", list[0].refusal, func() {
		view := f.s.deps.Peers.Views().View()
		for _, t := range list {
			if !t.final {
				f.append(t, view)
			}
		}
	})
	if ok {
		return
	}
	for _, t := range list {
		f.answered(t, 0, t.refusal)
	}
}
