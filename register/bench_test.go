package register

import (
	"fmt"
	"runtime"
	"testing"

	"longlink/pkg/cluster"
)

// BenchmarkSessions measures what a session costs in time and in memory, with
// two products of two tags each bound.
func BenchmarkSessions(b *testing.B) {
	st := &store{limit: 1 << 40}
	none := func(*session) bool { return false }
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := 0; b.Loop(); i++ {
		d := fmt.Sprintf("device-%012d", i)
		s := sess{"room-10.0.0.1-7806", 1, 5}.of(d, "demo", "shop")
		st.put(d, newSession(s), none)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(st.count.Load()), "heap-B/session")
	runtime.KeepAlive(st)
}

func BenchmarkFind(b *testing.B) {
	r := &Register{store: &store{limit: 1 << 40}, slots: newSlots(self, 0), rooms: newRooms()}
	v := cluster.NewView(1, []cluster.Instance{{Kind: cluster.Register, ID: self}, {Kind: cluster.Room, ID: "a", Epoch: 1}})
	r.take(v)
	for i := range 10000 {
		d := fmt.Sprint("d", i)
		r.store.put(d, newSession(sess{"a", 1, 5}.of(d, "demo")), func(*session) bool { return false })
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := r.find("d77"); err != nil {
			b.Fatal(err)
		}
	}
}
