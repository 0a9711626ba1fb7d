package saver

import (
	"sync"
	"testing"

	"longlink/pkg/api"
	"longlink/pkg/code"
)

// A caller's repetition goes through another saver and has its row committed
// before the first push's own commit: that costs no neighbour its answer.
func TestRepetitionThatCommitsFirstCostsNoNeighbour(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		slow, other := w.start(), w.start()
		slow.mustPush(push{device: "d", text: "-", dedup: "warm"})
		var once sync.Once
		slow.seams.afterScript = func() {
			once.Do(func() { other.mustPush(push{device: "d", text: "a", dedup: "x"}) })
		}
		out := slow.Append([]*api.AppendItem{push{device: "d", text: "a", dedup: "x"}.item(), push{device: "d", text: "b"}.item()})
		for i, r := range out {
			if c := code.Code(r.GetResult().GetCode()); c != code.OK {
				t.Errorf("message %d: %v", i, c)
			}
		}
		w.redis.restart(false)
		other.holds("d", "- a b")
	})
}
