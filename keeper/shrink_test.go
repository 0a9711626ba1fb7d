package keeper

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"longlink/pkg/cluster"
)

func TestShrinkGuard(t *testing.T) {
	crash := func(ids ...string) func(*feed) {
		return func(f *feed) {
			for _, id := range ids {
				f.crash(id)
			}
		}
	}
	for name, c := range map[string]struct {
		size int
		do   func(f *feed, v *views)
		held string
	}{
		"half is not more than half":    {4, func(f *feed, v *views) { crash("r0", "r1")(f) }, "[]"},
		"three of four":                 {4, func(f *feed, v *views) { crash("r0", "r1", "r2")(f) }, "[r0 r1 r2]"},
		"all":                           {5, func(f *feed, v *views) { crash(names(5)...)(f) }, "[r0 r1 r2 r3 r4]"},
		"a small kind":                  {3, func(f *feed, v *views) { crash(names(3)...)(f) }, "[]"},
		"one after the other, in time":  {4, func(f *feed, v *views) { one(f, v, 10*time.Second, "r0", "r1", "r2") }, "[r0 r1 r2]"},
		"one after the other, slowly":   {6, func(f *feed, v *views) { one(f, v, 16*time.Second, "r0", "r1", "r2", "r3") }, "[]"},
		"they stopped":                  {4, func(f *feed, v *views) { leave(f, "r0", "r1", "r2") }, "[]"},
		"they drained":                  {4, func(f *feed, v *views) { drain(f, v, "r0", "r1", "r2") }, "[]"},
		"one stopped, three crashed":    {5, func(f *feed, v *views) { leave(f, "r4"); crash("r0", "r1", "r2")(f) }, "[r0 r1 r2]"},
		"replaced by others before":     {4, func(f *feed, v *views) { joins(f, "a", "b", "c", "d"); crash(names(4)...)(f) }, "[]"},
		"restarted under the same name": {4, func(f *feed, v *views) { crash("r0", "r1", "r2")(f); joins(f, "r0", "r1", "r2") }, "[]"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFeed(1)
			v := f.viewers[0]
			joins(f, names(c.size)...)
			f.show(v)
			c.do(f, v)
			ids, held := shown(f.show(v))
			if fmt.Sprint(held) != c.held {
				t.Errorf("%v are held of %v, want %s", held, ids, c.held)
			}
		})
	}
}

func joins(f *feed, ids ...string) {
	for _, id := range ids {
		f.join(id, cluster.Ready)
	}
}

func one(f *feed, v *views, every time.Duration, ids ...string) {
	for _, id := range ids {
		f.crash(id)
		f.show(v)
		f.pass(every)
	}
}

func leave(f *feed, ids ...string) {
	for _, id := range ids {
		f.join(id, left)
	}
}

func drain(f *feed, v *views, ids ...string) {
	for _, id := range ids {
		f.join(id, cluster.Draining)
	}
	f.show(v)
	for _, id := range ids {
		f.crash(id)
	}
}

func TestHoldLifeOfARecord(t *testing.T) {
	f := newFeed(2)
	a, b := f.viewers[0], f.viewers[1]
	joins(f, names(5)...)
	f.show(a)
	f.show(b)
	for _, id := range names(4) {
		f.crash(id)
	}
	f.show(a)
	f.show(b)
	f.write(a)
	f.write(b) // loses
	late := f.viewer()
	want := func(held string) {
		t.Helper()
		for n, v := range f.viewers {
			if _, got := shown(f.show(v)); fmt.Sprint(got) != held {
				t.Errorf("viewer %d holds %v, want %s", n, got, held)
			}
		}
	}
	want("[r0 r1 r2 r3]")
	joins(f, "fresh", "r0") // both count at once
	want("[r1 r2 r3]")
	f.pass(testHold / 2)
	f.write(late)
	f.crash("r4") // long after the others, but nobody's absence is believed now
	want("[r1 r2 r3 r4]")
	f.write(b)
	f.pass(testHold/2 - time.Second)
	want("[r1 r2 r3 r4]")
	before := f.show(a).Revision
	f.pass(time.Second) // the lease is still that of the first record
	want("[]")
	if ids, _ := shown(f.show(a)); fmt.Sprint(ids) != "[fresh r0]" {
		t.Errorf("%v", ids)
	}
	if a.View().Revision <= before {
		t.Error("a hold ended without a new revision")
	}
	want("[]") // and does not begin again
}

func TestHoldEndsWhenAllAreBack(t *testing.T) {
	f := newFeed(1)
	v := f.viewers[0]
	joins(f, names(4)...)
	f.show(v)
	for _, id := range names(4) {
		f.crash(id)
	}
	f.show(v)
	f.write(v)
	f.show(v)
	joins(f, names(4)...)
	if ids, held := shown(f.show(v)); len(ids) != 4 || held != nil {
		t.Errorf("%v, held %v", ids, held)
	}
	f.write(v)
	if _, ok := f.keys[heldPrefix+"room"]; ok {
		t.Error("the record stays")
	}
	f.show(v)
	f.crash("r0") // an ordinary death again
	if ids, _ := shown(f.show(v)); len(ids) != 3 {
		t.Errorf("%v", ids)
	}
}

func TestHoldIsBounded(t *testing.T) {
	s := shrink{window: time.Minute}
	all := map[string]cluster.Instance{}
	for i := range maxHeld + 10 {
		id := fmt.Sprintf("r%06d", i)
		all[id] = room(id)
	}
	s.see(time.Unix(1, 0), all, nil)
	if n := len(s.see(time.Unix(2, 0), map[string]cluster.Instance{}, nil)); n != maxHeld {
		t.Errorf("%d are held", n)
	}
	if n := len(s.see(time.Unix(3, 0), map[string]cluster.Instance{}, nil)); n != maxHeld {
		t.Errorf("%d are held later", n)
	}
}

// TestEmptyHistoryIsHeld: the empty etcd has no record either.
func TestEmptyHistoryIsHeld(t *testing.T) {
	f := newFeed(1)
	v := f.viewers[0]
	joins(f, names(6)...)
	before := f.show(v).Revision
	clear(f.keys)
	f.revision = 1
	if ids, held := shown(f.show(v)); len(ids) != 6 || len(held) != 6 || v.View().Revision <= before {
		t.Errorf("%v, held %v", ids, held)
	}
	joins(f, "r2")
	if _, held := shown(f.show(v)); len(held) != 5 {
		t.Errorf("%v", held)
	}
}

// TestShrinkProperties plays random histories to viewers that are late by any
// number of changes, and to one that starts in the middle.
func TestShrinkProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := newFeed(3)
		revisions := map[*views]uint64{}
		see := func(v *views) {
			view := f.show(v)
			ids, held := shown(view)
			for _, id := range f.ids() {
				if !slices.Contains(ids, id) || slices.Contains(held, id) {
					t.Fatalf("%s is in the registry; the view has %v, held %v", id, ids, held)
				}
			}
			if view.Revision < revisions[v] {
				t.Fatalf("revision %d after %d", view.Revision, revisions[v])
			}
			revisions[v] = view.Revision
		}
		id := rapid.SampledFrom(names(8))
		viewer := func() *views { return f.viewers[rapid.IntRange(0, len(f.viewers)-1).Draw(t, "viewer")] }
		t.Repeat(map[string]func(*rapid.T){
			"join": func(t *rapid.T) { joins(f, id.Draw(t, "id")) },
			"crash": func(t *rapid.T) {
				for range rapid.IntRange(1, 6).Draw(t, "n") {
					f.crash(id.Draw(t, "id"))
				}
			},
			"drain": func(t *rapid.T) { f.join(id.Draw(t, "id"), cluster.Draining) },
			"leave": func(t *rapid.T) { f.join(id.Draw(t, "id"), left) },
			"pass":  func(t *rapid.T) { f.pass(time.Duration(rapid.IntRange(1, 120).Draw(t, "s")) * time.Second) },
			"see":   func(*rapid.T) { see(viewer()) },
			"vanish": func(t *rapid.T) { // more than half, none of which drains
				v, live := viewer(), f.ready()
				see(v)
				if len(live) < 4 || len(live) != len(f.ids()) {
					return
				}
				f.pass(testWindow + time.Second) // nobody else vanished lately
				see(v)
				n := rapid.IntRange(len(live)/2+1, len(live)).Draw(t, "n")
				for _, id := range rapid.Permutation(live).Draw(t, "who")[:n] {
					f.crash(id)
				}
				see(v)
				ids, _ := shown(v.View())
				for _, id := range live {
					if !slices.Contains(ids, id) {
						t.Fatalf("%s is not held: %v", id, ids)
					}
				}
			},
			"write": func(*rapid.T) { f.write(viewer()) },
			"start": func(t *rapid.T) {
				if len(f.viewers) < 5 {
					f.viewer()
				}
			},
		})
		// At rest all agree, and in the end nobody is held.
		for range 4 {
			for _, v := range f.viewers {
				see(v)
				f.write(v)
			}
		}
		for _, v := range f.viewers {
			see(v)
			ids, held := shown(v.View())
			ids0, held0 := shown(f.viewers[0].View())
			if !slices.Equal(ids, ids0) || !slices.Equal(held, held0) {
				t.Fatalf("views of one revision differ: %v held %v, %v held %v", ids0, held0, ids, held)
			}
			if len(v.orders()) > 0 {
				t.Fatalf("no rest: %+v", v.orders())
			}
		}
		f.pass(testHold)
		for _, v := range f.viewers {
			see(v)
			if ids, held := shown(v.View()); held != nil || !slices.Equal(ids, f.ids()) {
				t.Fatalf("after the time: %v, held %v, registry %v", ids, held, f.ids())
			}
		}
	})
}

// TestHoldAdoptsAnotherRecord: the writer had not seen the last one go,
// and its record comes late.
func TestHoldAdoptsAnotherRecord(t *testing.T) {
	f := newFeed(2)
	a, b := f.viewers[0], f.viewers[1]
	joins(f, names(6)...)
	f.show(a)
	f.show(b)
	for _, id := range names(4) {
		f.crash(id)
	}
	f.show(b)
	f.crash("r4")
	f.show(a)
	f.pass(testWindow + time.Second)
	f.show(a)
	f.write(b)
	for range 2 {
		for n, v := range []*views{a, b} {
			if _, held := shown(f.show(v)); n == 0 && fmt.Sprint(held) != "[r0 r1 r2 r3 r4]" {
				t.Errorf("%v are held", held)
			}
		}
		f.write(a)
	}
	if _, held := shown(f.show(b)); fmt.Sprint(held) != "[r0 r1 r2 r3 r4]" {
		t.Errorf("the writer holds %v", held)
	}
}

// TestHoldIsNotProlonged: whoever vanishes late in a hold leaves with it, or
// holds could follow each other for ever.
func TestHoldIsNotProlonged(t *testing.T) {
	f := newFeed(1)
	v := f.viewers[0]
	step := func(crash ...string) (held []string) {
		for _, id := range crash {
			f.crash(id)
		}
		f.show(v)
		f.write(v)
		_, held = shown(f.show(v))
		return held
	}
	joins(f, names(5)...)
	step()
	step("r0", "r1", "r2", "r3")
	joins(f, "a", "b", "c", "d")
	step()
	f.pass(testHold - 5*time.Second)
	if held := step("r4", "a", "b", "c", "d"); len(held) != 9 {
		t.Errorf("%v are held", held)
	}
	f.pass(5 * time.Second)
	if held := step(); held != nil {
		t.Errorf("%v are held after the time", held)
	}
}
