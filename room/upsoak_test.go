package room

import (
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"longlink/pkg/api"
	"longlink/pkg/code"
	"longlink/pkg/wire"
)

// TestUpstreamUnderCutsAndRefusals: devices that break off at any moment and
// now and then give one up, a coordinator that refuses at random, before or
// after it has stored: what was answered OK is in the log once, and what was
// not given up is there in the order of its up_id.
func TestUpstreamUnderCutsAndRefusals(t *testing.T) {
	const devices, each = 20, 120
	w := newWorld(t, func(c *Config) { c.Upstream.TotalBytes = 1 << 20 })
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	var mu sync.Mutex
	rnd := rand.New(rand.NewPCG(seed, 0))
	w.coord.set(func(f *fakeCoordinator) {
		f.judge = func(it *api.UpItem) *code.Error {
			mu.Lock()
			defer mu.Unlock()
			switch rnd.IntN(12) {
			case 0:
				return &code.Error{Code: code.Hold}
			case 1: // stored, and the answer is lost
				if !slices.ContainsFunc(f.log, func(old *api.UpItem) bool { return old.Device == it.Device && old.UpId == it.UpId }) {
					f.log = append(f.log, it)
				}
				return &code.Error{Code: code.Unavailable}
			}
			return nil
		}
	})
	var wg sync.WaitGroup
	all := make([]*upDevice, devices)
	for i := range all {
		all[i] = &upDevice{w: w, id: fmt.Sprintf("up-%d", i), rnd: rand.New(rand.NewPCG(seed, uint64(i+1))), stored: map[uint64]bool{}, forgone: map[uint64]bool{}}
		wg.Go(func() { all[i].run(each) })
	}
	wg.Wait()
	for _, d := range all {
		for _, product := range upProducts {
			ids := w.coord.ids(d.id, product)
			kept := slices.DeleteFunc(slices.Clone(ids), func(id uint64) bool { return d.forgone[id] })
			if !slices.IsSorted(kept) {
				t.Errorf("%s %s: out of order: %v", d.id, product, kept)
			}
			if slices.Sort(ids); len(slices.Compact(ids)) != len(w.coord.ids(d.id, product)) {
				t.Errorf("%s %s: stored twice", d.id, product)
			}
			for _, id := range ids {
				delete(d.stored, id)
			}
		}
		if len(d.stored) > 0 {
			t.Errorf("%s: answered OK and not in the log: %v", d.id, d.stored)
		}
	}
	eventually(t, "all bytes are given back", func() bool { return w.metric("longlink_room_upstream_bytes") == 0 })
	if n := w.metric("longlink_room_panics_total"); n != 0 {
		t.Errorf("%v panics", n)
	}
}

var upProducts = []string{"demo", "news"}

// upDevice sends as the protocol says: per product in the order of up_id, after
// a refusal and after a break all again from the lowest.
type upDevice struct {
	w       *world
	id      string
	rnd     *rand.Rand
	last    uint64
	outbox  [2][]uint64 // not answered OK, by product
	stored  map[uint64]bool
	forgone map[uint64]bool
}

func (d *upDevice) done(each int) bool { return len(d.stored)+len(d.forgone) >= each }

func (d *upDevice) run(each int) {
	for end := time.Now().Add(60 * time.Second); !d.done(each); {
		if time.Now().After(end) {
			d.w.t.Errorf("%s: %d of %d are stored", d.id, len(d.stored), each)
			return
		}
		d.connect(each, 5+d.rnd.IntN(60))
	}
}

// connect lives for that many answers.
func (d *upDevice) connect(each, answers int) {
	c, err := net.Dial("tcp", d.w.room.Addresses()[0])
	if err != nil {
		d.w.t.Error(err)
		return
	}
	defer c.Close()
	dev := newDevice(d.w.t, c)
	dev.hello(d.w, d.id, wire.Binding{Product: "demo"}, wire.Binding{Product: "news"})
	dev.welcome()
	dev.expect(wire.TypeBound)
	dev.expect(wire.TypeBound)
	var open [2][]uint64 // written on this connection and not answered
	var again [2]bool    // one was refused
	for ; answers > 0 && !d.done(each); answers-- {
		for p := range upProducts {
			if len(open[p]) == 0 { // all that were refused have been answered
				open[p], again[p] = d.write(dev, p), false
			}
		}
		typ, body, ok := dev.frame()
		if !ok || typ != wire.TypeUpAck {
			d.w.t.Errorf("%s: %s %v", d.id, typ, ok)
			return
		}
		m, _ := wire.ParseUpAck(body)
		p := 0
		if slices.Contains(open[1], m.UpID) {
			p = 1
		}
		if !slices.Contains(open[p], m.UpID) {
			d.w.t.Errorf("%s: UPACK of %d, which is not open", d.id, m.UpID)
		}
		open[p] = slices.DeleteFunc(open[p], func(id uint64) bool { return id == m.UpID })
		switch {
		case m.Code == code.OK && again[p]:
			d.w.t.Errorf("%s: %d is stored behind a refused one", d.id, m.UpID)
		case m.Code == code.OK:
			d.stored[m.UpID] = true
			d.outbox[p] = slices.DeleteFunc(d.outbox[p], func(id uint64) bool { return id == m.UpID })
		default:
			again[p] = true
		}
	}
}

// write sends what a product has, filled up with new ones, from the lowest,
// after giving that up now and then.
func (d *upDevice) write(dev *device, p int) []uint64 {
	if len(d.outbox[p]) > 0 && d.rnd.IntN(10) == 0 {
		d.forgone[d.outbox[p][0]] = true
		d.outbox[p] = d.outbox[p][1:]
	}
	for range 1 + d.rnd.IntN(6) {
		d.last++
		d.outbox[p] = append(d.outbox[p], d.last)
	}
	d.outbox[p] = d.outbox[p][:min(len(d.outbox[p]), 30)]
	dev.send(ups(upProducts[p], wire.FlagFirst, d.outbox[p]...))
	return slices.Clone(d.outbox[p])
}
