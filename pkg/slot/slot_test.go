package slot

import (
	"strconv"
	"testing"
)

// The mapping is stored in every key: these values may never change.
func TestFrozen(t *testing.T) {
	for device, want := range map[string]uint16{"": 2457, "phone-1": 3706} {
		if got := Of(device); got != want {
			t.Errorf("Of(%q) = %d, want %d", device, got, want)
		}
	}
}

func TestSpread(t *testing.T) {
	var n [Count]int
	for i := range 40 * Count {
		n[Of("device-"+strconv.Itoa(i))]++
	}
	for s, c := range n {
		if c < 8 || c > 90 {
			t.Errorf("slot %d holds %d of an expected 40", s, c)
		}
	}
}
