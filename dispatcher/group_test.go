package dispatcher

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"longlink/pkg/cluster"
)

const devices = 20_000

func sized(n, capacity int) cluster.Instance {
	i := aRoom(n, "a", cluster.Ready)
	i.Capacity = capacity
	return i
}

// homes gives every device's first address' room.
func homes(list ...cluster.Instance) []string {
	f := newFleet(cluster.NewView(1, list), nil)
	out := make([]string, devices)
	for d := range out {
		out[d] = host(f.group(fmt.Sprintf("device-%d", d), nil, 3)[0].addr)
	}
	return out
}

func share(homes []string) map[string]float64 {
	m := map[string]float64{}
	for _, h := range homes {
		m[h] += 1 / float64(len(homes))
	}
	return m
}

func TestDevicesSpreadByCapacity(t *testing.T) {
	got := share(homes(sized(1, 100_000), sized(2, 300_000), sized(3, 50_000), sized(4, 50_000)))
	for room, want := range map[string]float64{"10.0.0.1": 0.2, "10.0.0.2": 0.6, "10.0.0.3": 0.1, "10.0.0.4": 0.1} {
		// Five standard deviations of a binomial share.
		if off := math.Abs(got[room] - want); off > 5*math.Sqrt(want*(1-want)/devices) {
			t.Errorf("%s has %.4f of the devices, want %.2f", room, got[room], want)
		}
	}
}

func TestDevicesMoveOnlyWithTheirRoom(t *testing.T) {
	three := []cluster.Instance{sized(1, 100_000), sized(2, 300_000), sized(3, 100_000)}
	before := homes(three...)
	for name, c := range map[string]struct {
		after  []cluster.Instance
		moves  float64
		fromTo func(from, to string) bool
	}{
		"one joins":   {append(slices.Clone(three), sized(4, 500_000)), 0.5, func(_, to string) bool { return to == "10.0.0.4" }},
		"one leaves":  {three[:2], 0.2, func(from, _ string) bool { return from == "10.0.0.3" }},
		"one grows":   {[]cluster.Instance{three[0], three[1], sized(3, 400_000)}, 0.5 - 0.2, func(_, to string) bool { return to == "10.0.0.3" }},
		"one shrinks": {[]cluster.Instance{three[0], sized(2, 100_000), three[2]}, 0.6 - 1./3, func(from, _ string) bool { return from == "10.0.0.2" }},
	} {
		moved := 0.
		for d, to := range homes(c.after...) {
			if from := before[d]; from != to {
				moved++
				if !c.fromTo(from, to) {
					t.Errorf("%s: a device moved from %s to %s", name, from, to)
				}
			}
		}
		if off := math.Abs(moved/devices - c.moves); off > 5*math.Sqrt(c.moves*(1-c.moves)/devices) {
			t.Errorf("%s: %.4f of the devices moved, want %.4f", name, moved/devices, c.moves)
		}
	}
}

func TestRoomOfUnknownCapacity(t *testing.T) {
	got := share(homes(sized(1, 0), sized(2, usualCapacity)))
	if got["10.0.0.1"] < 0.48 || got["10.0.0.1"] > 0.52 {
		t.Errorf("%v", got)
	}
}

// TestGroupRule holds every group to the rule, with and without failures.
func TestGroupRule(t *testing.T) {
	var list []cluster.Instance
	for n := 1; n <= 4; n++ {
		list = append(list, aRoom(n, "a", cluster.Ready), aRoom(n+4, "b", cluster.Ready), aRoom(n+8, "c", cluster.Ready))
	}
	f := newFleet(cluster.NewView(1, list), nil)
	check := func(d string, group []address) (hosts []string) {
		ports, idcs := map[string]bool{}, map[string]bool{}
		for _, a := range group {
			hosts = append(hosts, host(a.addr))
			ports[port(a.addr)], idcs[a.idc] = true, true
		}
		slices.Sort(hosts)
		if len(group) != 3 || len(slices.Compact(slices.Clone(hosts))) != 3 || len(ports) != 2 || len(idcs) < 2 {
			t.Errorf("%s: %v", d, group)
		}
		return hosts
	}
	for n := range 500 {
		d := fmt.Sprintf("d%d", n)
		first := f.group(d, nil, 3)
		check(d, first)
		again := f.group(d, []string{first[0].addr}, 3)
		check(d, again)
		if again[0].idc == first[0].idc || slices.ContainsFunc(again, func(a address) bool { return host(a.addr) == host(first[0].addr) }) {
			t.Errorf("%s: after %v failed: %v", d, first[0], again)
		}
	}
}

func TestHeldRoomKeepsOnlyTheFirstPlace(t *testing.T) {
	list := rooms(8)
	before := newFleet(cluster.NewView(1, list), nil)
	for i := range 5 {
		list[i].Held = true
	}
	f := newFleet(cluster.NewView(2, list), nil)
	held := func(a address) bool { return host(a.addr) <= "10.0.0.5" }
	for n := range 500 {
		d := fmt.Sprintf("d%d", n)
		was, now := before.group(d, nil, 3), f.group(d, nil, 3)
		if was[0] != now[0] || slices.ContainsFunc(now[1:], held) {
			t.Errorf("%s: %v became %v", d, was, now)
		}
		if next := f.group(d, []string{now[0].addr}, 3); held(now[0]) && host(next[1].addr) == host(now[0].addr) {
			t.Errorf("%s: after %v failed: %v", d, now[0], next)
		}
	}
	for i := range list {
		list[i].Held = true
	}
	if got := newFleet(cluster.NewView(3, list), nil).group("d0", nil, 3); len(got) != 3 {
		t.Errorf("all are held: %v", got)
	}
}
