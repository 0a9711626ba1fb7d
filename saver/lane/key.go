package lane

import (
	"fmt"
	"strconv"

	"longlink/pkg/slot"
)

// Ref names the lane of one product on one device.
type Ref struct {
	Product, Device string
	Slot            uint16
}

// RefOf finds the slot of a device's lane.
func RefOf(product, device string) Ref {
	return Ref{product, device, slot.Of(device)}
}

func prefix(s uint16) string { return fmt.Sprintf("ll:{%02x}:", slot.Tag(s)) }

// ClockKey is where a slot's clock is.
func ClockKey(s uint16) string { return prefix(s) + "c:" + strconv.Itoa(int(s)) }

// GenKey is where a slot's gen is.
func GenKey(s uint16) string { return prefix(s) + "g:" + strconv.Itoa(int(s)) }

// Key is where the lane is.
func (r Ref) Key() string { return prefix(r.Slot) + "l:" + r.Product + "/" + r.Device }

// DedupKey is where the first push with this dedup_id left its seq.
func (r Ref) DedupKey(id string) string {
	return prefix(r.Slot) + "d:" + r.Product + "/" + r.Device + "/" + id
}

// Cut divides items into script calls, in order: at most most items a call, and
// on a Redis Cluster (perTag) only slots of one hash tag in each. It answers
// indexes of items; the order within a call is theirs.
func Cut(slots []uint16, most int, perTag bool) [][]int {
	var calls [][]int
	open := map[uint16]int{} // tag to the call that still has room
	for i, s := range slots {
		tag := uint16(0)
		if perTag {
			tag = slot.Tag(s)
		}
		c, ok := open[tag]
		if !ok || len(calls[c]) >= most {
			c = len(calls)
			calls = append(calls, nil)
			open[tag] = c
		}
		calls[c] = append(calls[c], i)
	}
	return calls
}
