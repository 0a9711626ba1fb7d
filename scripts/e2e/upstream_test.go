package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"longlink/pkg/client"
	"longlink/pkg/lifecycle"
	"longlink/pkg/sdk"
	"longlink/pkg/testenv"
)

// Sizes of the upstream test.
const (
	upDevices = 200
	upSends   = 20  // by each device
	upBurst   = 10  // at once: order is lost only among those
	upRate    = 800 // a second
)

// Ups is what devices send, and how much of it was confirmed.
type Ups struct {
	t         *testing.T
	traffic   *Traffic // the devices
	products  []string
	confirmed atomic.Int64
}

// upstream: 200 devices send 20 each to two products, while connections are cut
// and kills end processes, evenly over the sends; each returns when all run
// again. What was confirmed is read by events, through the client and the
// command, each once and in order.
func upstream(t *testing.T, s *Site, kills ...func()) {
	u := &Ups{t: t, products: []string{"meters", "doors"}}
	for _, p := range u.products {
		product(t, s, p)
	}
	u.traffic = NewTraffic(t, s.Centers, s.OpKey, s.Dispatchers, u.products, "up", upDevices)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	group := lifecycle.NewGroup(ctx, nil, nil)
	u.traffic.StartDevices(group)

	api := s.API(t, "")
	readers := map[string]*upReader{}
	for _, p := range u.products {
		r := &upReader{ids: map[string]int{}, seen: map[string][]int{}, ups: map[string][]uint64{}}
		readers["client "+p] = r
		group.Go("events", func(ctx context.Context) error {
			return api.Events(ctx, client.EventsRequest{Product: p, Since: time.Minute}, r.take)
		})
	}
	log := filepath.Join(t.TempDir(), "events.out")
	command, err := testenv.Command{Path: s.binary, Args: append([]string{"events", "--product", u.products[0], "--since", "1m", "--json"}, s.Flags...), Log: log}.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { command.Kill() })

	begin := time.Now()
	sent := u.send(ctx)
	cutting, stopCutting := context.WithCancel(ctx)
	defer stopCutting()
	group.Go("cut", func(context.Context) error { u.cut(cutting); return nil })
	for i, kill := range kills {
		await(t, "the sends to get on", 60*time.Second, func() error {
			if n, want := u.confirmed.Load(), int64(upDevices*upSends*(i+1)/(len(kills)+1)); n < want {
				return fmt.Errorf("%d of %d before the next kill", n, want)
			}
			return nil
		})
		kill()
	}
	<-sent
	stopCutting()
	took := time.Since(begin)

	for name, r := range readers {
		await(t, name+" to read everything", 30*time.Second, func() error { return r.missing(upDevices * upSends / 2) })
		r.check(t, name)
	}
	shown := &upReader{ids: map[string]int{}, seen: map[string][]int{}, ups: map[string][]uint64{}}
	await(t, "longlink events to show everything", 30*time.Second, func() error {
		*shown = upReader{ids: map[string]int{}, seen: map[string][]int{}, ups: map[string][]uint64{}}
		if err := shown.lines(log); err != nil {
			return err
		}
		return shown.missing(upDevices * upSends / 2)
	})
	shown.check(t, "longlink events")
	if err := command.Signal(interrupt); err != nil {
		t.Fatal(err)
	}
	if err := command.Wait(); err != nil {
		t.Errorf("longlink events after SIGINT: %v\n%s", err, tail(log))
	}
	t.Logf("%d sends in %s, %d logins of %d devices, %d kills; %s", u.confirmed.Load(), brief(took), u.traffic.connects.Load(), upDevices, len(kills), brief(time.Since(begin)))
	cancel()
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
}

// send starts all devices' sends; the channel closes when the last is confirmed.
func (u *Ups) send(ctx context.Context) <-chan struct{} {
	limit := rate.NewLimiter(upRate, upBurst)
	var wg sync.WaitGroup
	for _, d := range u.traffic.devices {
		wg.Go(func() {
			for i := 0; i < upSends; i += upBurst {
				if limit.WaitN(ctx, upBurst) != nil {
					return
				}
				var burst sync.WaitGroup
				for n := i; n < i+upBurst; n++ {
					burst.Go(func() { u.one(ctx, d.id, d.client, n) })
				}
				burst.Wait()
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	return done
}

// one sends the n-th of a device.
func (u *Ups) one(ctx context.Context, device string, c *sdk.Client, n int) {
	sctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	err := c.Send(sctx, u.products[n%2], "reading", sdk.SendText, []byte(strconv.Itoa(n/2)))
	switch {
	case ctx.Err() != nil:
	case err != nil:
		u.t.Errorf("%s, send %d: %v", device, n, err)
	default:
		u.confirmed.Add(1)
	}
}

// cut breaks a connection every 100 ms, half of them with a reset.
func (u *Ups) cut(ctx context.Context) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			u.traffic.Cut(rand.IntN(upDevices), rand.IntN(2) == 0)
		}
	}
}

// upReader is what one reader of one product was shown.
type upReader struct {
	mu    sync.Mutex
	total int
	ids   map[string]int      // how often an event came
	seen  map[string][]int    // by device
	ups   map[string][]uint64 // up_ids by device
}

func (r *upReader) take(e client.Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e.Text == nil || e.Kind != "reading" {
		return fmt.Errorf("event %+v was never sent", e)
	}
	n, err := strconv.Atoi(*e.Text)
	if err != nil {
		return err
	}
	r.total++
	r.ids[e.ID]++
	r.seen[e.Device], r.ups[e.Device] = append(r.seen[e.Device], n), append(r.ups[e.Device], e.UpID)
	return nil
}

// lines reads what the command has printed.
func (r *upReader) lines(log string) error {
	lines, err := readLines(log)
	if err != nil {
		return err
	}
	for _, l := range lines {
		var e client.Event
		if !strings.HasPrefix(l, "{") {
			continue // said on standard error
		}
		if err := json.Unmarshal([]byte(l), &e); err != nil {
			return err
		}
		if err := r.take(e); err != nil {
			return err
		}
	}
	return nil
}

func (r *upReader) missing(want int) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.total < want {
		return fmt.Errorf("%d of %d were read", r.total, want)
	}
	return nil
}

// check: every one once, those of a device in the order of up_id.
func (r *upReader) check(t *testing.T, name string) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, n := range r.ids {
		if n > 1 {
			t.Errorf("%s: event %s came %d times", name, id, n)
		}
	}
	if len(r.seen) != upDevices {
		t.Errorf("%s: events of %d devices, want %d", name, len(r.seen), upDevices)
	}
	for device, seen := range r.seen {
		if !slices.IsSorted(r.ups[device]) {
			t.Errorf("%s: the up_ids of %s are out of order: %v", name, device, r.ups[device])
		}
		sorted := slices.Sorted(slices.Values(seen))
		ok := len(sorted) == upSends/2
		for i, n := range sorted {
			ok = ok && n == i
		}
		if !ok {
			t.Errorf("%s: %s sent 0 to %d, and %v was read", name, device, upSends/2-1, seen)
		}
	}
}
