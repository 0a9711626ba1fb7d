package saver

import (
	"fmt"
	"strings"
	"testing"

	"longlink/pkg/api"
)

// BenchmarkAppend stores batches of 64 messages for as many lanes, 256 bytes
// each, one batch at a time and eight at once; ns/op is one batch.
func BenchmarkAppend(b *testing.B) {
	text := strings.Repeat("x", 256)
	for name, world := range map[string]func(testing.TB) *world{"embedded": embeddedWorld, "real": realWorld} {
		for _, streams := range []int{1, 8} {
			b.Run(fmt.Sprintf("%s/streams=%d", name, streams), func(b *testing.B) {
				w := world(b)
				w.cfg.Lane.MaxMessages = 10000
				s := serving(b, w)
				next := make(chan int)
				b.ResetTimer()
				go func() {
					for i := range b.N {
						next <- i
					}
					close(next)
				}()
				done := make(chan struct{})
				for range streams {
					go func() {
						for i := range next {
							items := make([]*api.AppendItem, 64)
							for j := range items {
								items[j] = push{device: fmt.Sprintf("d%d", (i*64+j)%100000), text: text}.item()
							}
							for _, r := range s.Append(items) {
								if r.Result != nil {
									b.Error(r.Result)
								}
							}
						}
						done <- struct{}{}
					}()
				}
				for range streams {
					<-done
				}
				b.ReportMetric(float64(64*b.N)/b.Elapsed().Seconds(), "messages/s")
			})
		}
	}
}

// BenchmarkLone is one message at a time: the least a caller waits.
func BenchmarkLone(b *testing.B) {
	for name, world := range map[string]func(testing.TB) *world{"embedded": embeddedWorld, "real": realWorld} {
		b.Run(name, func(b *testing.B) {
			s := serving(b, world(b))
			b.ResetTimer()
			for i := range b.N {
				s.mustPush(push{device: fmt.Sprintf("d%d", i%10000), text: "x"})
			}
		})
	}
}

// serving is a saver none of whose slots is left to be rebuilt.
func serving(b *testing.B, w *world) *running {
	w.cfg.Rebuild.Pause = 0
	s := w.start()
	eventually(b, "every slot serves", func() bool { return s.rebuild.unready() == 0 })
	return s
}
