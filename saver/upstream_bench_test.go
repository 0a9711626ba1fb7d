package saver

import (
	"fmt"
	"strings"
	"testing"

	"longlink/pkg/api"
)

// BenchmarkUpstream stores calls of 64 items, 256 bytes each, of as many
// devices: one call at a time and eight at once; ns/op is one call.
func BenchmarkUpstream(b *testing.B) {
	text := []byte(strings.Repeat("x", 256))
	for name, world := range map[string]func(testing.TB) *world{"embedded": embeddedWorld, "real": realWorld} {
		for _, streams := range []int{1, 8} {
			b.Run(fmt.Sprintf("%s/streams=%d", name, streams), func(b *testing.B) {
				s := serving(b, world(b))
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
							items := make([]*api.UpItem, 64)
							for j := range items {
								items[j] = upItem(fmt.Sprintf("d%d", (i*64+j)%100000), uint64(i+1))
								items[j].Payload = text
							}
							for _, r := range s.up(items...) {
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
				b.ReportMetric(float64(64*b.N)/b.Elapsed().Seconds(), "items/s")
			})
		}
	}
}
