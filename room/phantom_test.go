package room

import (
	"testing"

	"longlink/pkg/api"
	"longlink/pkg/wire"
)

// A page told of a message behind the window. Redis is lost before its commit,
// so the rebuilt clock stays below it: the room must not load for ever.
func TestKnownThatIsLostEndsTheLoads(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.LaneWindow = 2 })
	for range 3 {
		w.saver.append("dev", "demo", &api.Message{Payload: []byte("stored")})
	}
	d := w.login("dev", wire.Binding{Product: "demo"})
	d.push()
	last := d.push().Seq
	w.saver.set(func(f *fakeSaver) { // Redis is lost, and with it the third message
		f.clock = last
		k := laneKey("dev", "demo")
		f.lanes[k] = f.lanes[k][:2]
		f.loads = nil
	})
	d.ack("demo", last)
	loads := func() (n int) { w.saver.set(func(f *fakeSaver) { n = len(f.loads) }); return n }
	eventually(t, "the room has looked", func() bool { return loads() > 0 })
	for range 50 {
		d.ping()
	}
	if n := loads(); n > 2 {
		t.Fatalf("%d loads of a lane in which nothing is", n)
	}
	// What is appended next, below the lost one or above it, comes.
	m := w.saver.append("dev", "demo", &api.Message{Payload: []byte("new")})
	if _, err := w.hand("dev", "demo", m); err != nil {
		t.Fatal(err)
	}
	if p := d.push(); p.Seq != m.Seq {
		t.Fatalf("got %d, want %d", p.Seq, m.Seq)
	}
}
