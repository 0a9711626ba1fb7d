package room

import (
	"testing"

	"longlink/pkg/cluster"
	"longlink/pkg/slot"
)

// A register's lease ended and it came back under the same epoch; it waits for
// every room again. The room's views have jumped over its absence.
func TestRegisterThatWasAwayIsRefilled(t *testing.T) {
	w := newWorld(t, nil)
	rounds := func() (n int) { w.reg.set(func(f *fakeRegister) { n = len(f.refilled) }); return n }
	eventually(t, "the first refill", func() bool { return rounds() == 1 })
	back := w.views.View().All()
	for i := range back {
		if back[i].Kind == cluster.Register {
			back[i].Entered = 12
		}
	}
	w.views.Set(cluster.NewView(12, back))
	eventually(t, "the second refill", func() bool { return rounds() == 2 })
	w.reg.set(func(f *fakeRegister) {
		if r := f.refilled[1]; r.ViewRevision != 12 || len(r.Slots) != slot.Count {
			t.Errorf("revision %d, %d slots", r.ViewRevision, len(r.Slots))
		}
	})
}
