package saver

import (
	"sync"
	"testing"

	"longlink/pkg/code"
)

// A saver stands still between its commit and its look at the run; meanwhile
// the same push is answered yes by another saver, and Redis is lost. The late
// void must not take back what was promised.
func TestLateVoidKeepsWhatARetryWasPromised(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		slow, other := w.start(), w.start()
		var once sync.Once
		slow.seams.afterCommit = func() {
			once.Do(func() {
				if r := other.mustPush(push{device: "d", text: "a", dedup: "x"}); !r.Duplicate {
					t.Errorf("retry: %+v", r)
				}
				w.redis.restart(false)
			})
		}
		if _, c := slow.push(push{device: "d", text: "a", dedup: "x"}); c != code.Unknown {
			t.Fatalf("got %v, want UNKNOWN", c)
		}
		w.redis.restart(false)
		other.holds("d", "a")
	})
}
