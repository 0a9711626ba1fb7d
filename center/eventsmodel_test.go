package center

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"longlink/pkg/api"
	"longlink/pkg/cluster"
	"longlink/pkg/code"
)

// reading is what a caller of events has got: per device the number of the next
// one that it has not.
type reading struct {
	next   map[string]int
	total  int
	cursor string
}

// take holds an event against the model: after a break some come again, but
// none is left out, and those of a device come in order.
func (r *reading) take(device, text string) error {
	n, err := strconv.Atoi(text)
	switch {
	case err != nil:
		return err
	case n > r.next[device]:
		return fmt.Errorf("%s: %d came before %d", device, n, r.next[device])
	case n == r.next[device]:
		r.next[device]++
		r.total++
	}
	return nil
}

// TestEventsMissNothing: writers append, savers fail, pages are short, and the
// reader leaves and comes back behind its last cursor, over REST and gRPC.
func TestEventsMissNothing(t *testing.T) {
	const rows, devices = 600, 30
	w := quick(t, nil)
	w.center.server.followers.ping = 30 * time.Millisecond
	second := newFakeSaver()
	second.log = w.saver.log
	w.views.Set(cluster.NewView(2, append(w.views.View().All(), w.serve(cluster.Saver, "saver-2", registerSaver(second)))))
	r := rand.New(rand.NewPCG(7, uint64(time.Now().UnixNano())))
	faults := rand.New(rand.NewPCG(8, r.Uint64()))
	w.saver.log.set(func() {
		w.saver.log.page = 3
		w.saver.log.refuse = func() *code.Error { // called under the log's lock
			if faults.IntN(8) == 0 {
				return code.Errorf(code.Unavailable, "lost")
			}
			return nil
		}
	})
	got := &reading{next: map[string]int{}, cursor: (&positions{}).cursor()}
	var written atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		count := map[string]int{}
		for range rows {
			<-tick.C
			d := fmt.Sprint("d", rand.IntN(devices))
			w.saver.log.add(&api.UpItem{Device: d, Product: "shop", Kind: "k"})
			w.saver.log.text(d, fmt.Sprint(count[d]))
			count[d]++
			written.Add(1)
		}
	}()
	center := api.NewCenterClient(w.dial())
	streams := 0
	for limit := time.Now().Add(15 * time.Second); got.total < rows; streams++ {
		if time.Now().After(limit) {
			t.Fatalf("%d events of %d came", got.total, written.Load())
		}
		blocks := 1 + r.IntN(60)
		if r.IntN(2) == 0 {
			got.rest(t, w, blocks)
		} else {
			got.grpc(t, w, center, blocks)
		}
	}
	<-done
	t.Logf("%d streams", streams)
	w.following(0)
}

// rest reads some blocks of a stream and leaves.
func (r *reading) rest(t *testing.T, w *world, blocks int) {
	t.Helper()
	query, last := "?product=demo", r.cursor
	if blocks%2 == 0 {
		query, last = query+"&cursor="+last, ""
	}
	s := w.follow(w.op, query, last)
	defer s.end()
	for range blocks {
		b := s.next()
		if b.id != "" {
			r.cursor = b.id
		}
		if b.event == "" {
			continue
		}
		var e eventBody
		if err := json.Unmarshal([]byte(b.data), &e); err != nil {
			t.Fatal(err)
		}
		if err := r.take(e.Device, *e.Text); err != nil {
			t.Fatal(err)
		}
	}
}

func (r *reading) grpc(t *testing.T, w *world, center api.CenterClient, blocks int) {
	t.Helper()
	ctx, leave := contextWithin(t, 20*time.Second)
	defer leave()
	s, err := center.Events(withKey(ctx, w.keys["demo"]), &api.EventsRequest{Cursor: r.cursor})
	for range blocks {
		var e *api.Event
		if err == nil {
			e, err = s.Recv()
		}
		if err != nil {
			t.Fatal(err)
		}
		if e.Cursor != "" {
			r.cursor = e.Cursor
		}
		if e.Id == "" {
			continue
		}
		if err := r.take(e.Device, *e.Text); err != nil {
			t.Fatal(err)
		}
	}
}
