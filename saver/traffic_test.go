package saver

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"longlink/pkg/api"
	"longlink/pkg/code"
)

// reader is a device that keeps its cursor, as the SDK does.
type reader struct {
	device string
	cursor uint64
	got    []string
}

// turn reads and acknowledges once.
func (d *reader) turn(s *running, login bool) {
	p := s.Load([]*api.LoadItem{{Device: d.device, Product: "shop", After: d.cursor, Login: login, MaxMessages: 7}})[0]
	if p.Result != nil {
		return
	}
	for _, m := range p.Messages {
		if m.Seq > d.cursor {
			d.got = append(d.got, string(m.Message.Payload))
			d.cursor = m.Seq
		}
	}
	if len(p.Messages) > 0 { // whatever comes of it: the cursor comes again
		s.Ack([]*api.AckItem{{Device: d.device, Product: "shop", Seq: d.cursor}})
	}
}

// Redis dies again and again, empty or with what it had, while messages flow
// through two savers: what was accepted is read, in order, and twice only where
// the caller was told UNKNOWN.
func TestNothingAcceptedIsLost(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		savers := []*running{w.start(), w.start()}
		const devices, each = 12, 60
		var unsure sync.Map // texts that were once answered UNKNOWN
		var pushing sync.WaitGroup
		var accepted atomic.Int64
		for d := range devices {
			pushing.Go(func() {
				for i := range each {
					text := fmt.Sprintf("%d.%03d", d, i)
					p := push{device: fmt.Sprintf("t%d", d), text: text, dedup: text, id: text}
					for try := 0; ; try++ {
						_, c := savers[(d+try)%2].push(p)
						if c == code.OK {
							break
						}
						if c == code.Unknown {
							unsure.Store(text, true)
						}
						if !retryable(c) && c != code.InboxFull || try > 2000 {
							t.Errorf("%s: %v after %d tries", text, c, try)
							return
						}
						<-time.After(2 * time.Millisecond)
					}
					accepted.Add(1)
				}
			})
		}
		pushed := make(chan struct{})
		go func() { pushing.Wait(); close(pushed) }()

		var reading sync.WaitGroup
		readers := make([]*reader, devices)
		stop := make(chan struct{})
		for d := range readers {
			r := &reader{device: fmt.Sprintf("t%d", d)}
			readers[d] = r
			reading.Go(func() {
				for i := 0; ; i++ {
					select {
					case <-stop:
						return
					default:
						r.turn(savers[(d+i/8)%2], i%10 == 0)
					}
				}
			})
		}
		for i := 0; ; i++ {
			select {
			case <-pushed:
			case <-time.After(120 * time.Millisecond):
				if i < 12 {
					w.redis.restart(i%3 == 2)
				}
				continue
			}
			break
		}
		close(stop)
		reading.Wait()
		for d, r := range readers {
			for range 50 { // what is left in the lane
				r.turn(savers[0], true)
			}
			seen, next := map[string]int{}, 0
			for _, text := range r.got {
				seen[text]++
				want := fmt.Sprintf("%d.%03d", d, next)
				switch {
				case text == want:
					next++
				case seen[text] == 1:
					t.Fatalf("%s read %s before %s: %s", r.device, text, want, strings.Join(r.got, " "))
				default:
					if _, ok := unsure.Load(text); !ok {
						t.Errorf("%s read %s twice, though it was never UNKNOWN", r.device, text)
					}
				}
			}
			if next != each {
				t.Errorf("%s has read %d of %d: %s", r.device, next, each, strings.Join(r.got, " "))
			}
		}
		if n := accepted.Load(); n != devices*each {
			t.Errorf("%d accepted", n)
		}
	})
}
