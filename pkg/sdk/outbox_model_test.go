package sdk

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"longlink/pkg/code"
	"longlink/pkg/wire"
)

// hostile is a gateway that keeps the rule of docs/protocol.md to the letter and
// is of no other help: it refuses, delays, cuts and forgets to answer, at
// random. Its log outlives the connections.
type hostile struct {
	w   *world
	rnd *rand.Rand

	mu     sync.Mutex // guards what follows
	calm   bool       // from now on everything is taken
	log    map[string][]wire.Up
	stored map[uint64]bool
	bad    map[uint64]bool // refused for good, and always will be
	over   map[uint64]bool // OK, or a refusal for good, was written for it
	bodies map[string]uint64
	gaveUp map[string]bool // by body, noted before the context ends
}

func (h *hostile) roll(percent int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.calm && h.rnd.IntN(100) < percent
}

func (h *hostile) between(lo, hi int) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.calm {
		return 0
	}
	return time.Duration(lo+h.rnd.IntN(hi-lo)) * time.Millisecond
}

// serve is one connection: frames come in, one worker a product takes them in
// turn, as the room has one on its way to the log at a time.
func (h *hostile) serve(r *roomConn) {
	r.upLogin()
	lanes := map[string]chan wire.Up{}
	var workers sync.WaitGroup
	for f := range r.frames {
		if f.t != wire.TypeUp {
			continue
		}
		u, err := wire.ParseUp(f.body)
		if err != nil {
			r.t.Error(err)
			break
		}
		h.arrived(&u)
		product := string(u.Product)
		if lanes[product] == nil {
			lane := make(chan wire.Up, 4096)
			lanes[product] = lane
			workers.Go(func() { h.work(r, lane) })
		}
		lanes[product] <- u
		if h.roll(3) {
			break // the connection is cut; what is on its way goes on unseen
		}
	}
	r.close()
	for range r.frames { // what the device had written already
	}
	for _, lane := range lanes {
		close(lane)
	}
	workers.Wait()
}

// arrived checks the flag First: everything lower that this gateway ever saw of
// the product is answered, or given up.
func (h *hostile) arrived(u *wire.Up) {
	h.mu.Lock()
	defer h.mu.Unlock()
	product := string(u.Product)
	if id, seen := h.bodies[string(u.Payload)]; seen && id != u.UpID {
		h.w.t.Errorf("%s came under two numbers", u.Payload)
	}
	h.bodies[string(u.Payload)] = u.UpID
	if u.Flags&wire.FlagFirst == 0 {
		return
	}
	for body, id := range h.bodies {
		if strings.HasPrefix(body, product+"/") && id < u.UpID && !h.over[id] && !h.gaveUp[body] {
			h.w.t.Errorf("%s came as the first, %s has no answer", u.Payload, body)
		}
	}
}

// work is the room's rule for one product of one connection.
func (h *hostile) work(r *roomConn, lane chan wire.Up) {
	var refused uint64 // the first one refused that has not come again
	for u := range lane {
		if d := h.between(0, 40); d > 0 {
			<-time.After(d)
		}
		if refused != 0 && u.UpID != refused && u.Flags&wire.FlagFirst == 0 {
			h.answer(r, &u, code.Hold)
			continue
		}
		refused = 0
		switch {
		case h.isBad(u.UpID):
			h.answer(r, &u, code.InvalidArgument)
		case h.roll(10): // stored, but the call looks failed
			h.store(&u)
			refused = u.UpID
			h.answer(r, &u, code.Unavailable)
		case h.roll(15):
			refused = u.UpID
			h.answer(r, &u, code.Hold)
		default:
			h.store(&u)
			h.answer(r, &u, code.OK)
		}
	}
}

func (h *hostile) isBad(id uint64) bool {
	if h.roll(4) {
		h.mu.Lock()
		h.bad[id] = !h.stored[id]
		h.mu.Unlock()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.bad[id]
}

func (h *hostile) store(u *wire.Up) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.stored[u.UpID] {
		h.stored[u.UpID] = true
		h.log[string(u.Product)] = append(h.log[string(u.Product)], *u)
	}
}

func (h *hostile) answer(r *roomConn, u *wire.Up, c code.Code) {
	h.mu.Lock()
	if c.Action() == code.None || c.Action() == code.Never {
		h.over[u.UpID] = true
	}
	h.mu.Unlock()
	frame := wire.AppendUpAck(nil, &wire.UpAck{UpID: u.UpID, Code: c, RetryMS: uint32(h.between(1, 900).Milliseconds())})
	if h.roll(5) {
		frame = append(frame, frame...) // answered twice
	}
	_, _ = r.nc.Write(frame) // the connection may be cut
}

// Whatever the gateway does: a Send that returned nil is in the log, once; the
// log of a product is in the order of the Sends, but for those that were given
// up; and when the gateway comes to its senses, every Send returns.
func TestOutboxAgainstAHostileGateway(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			inBubble(t, func(w *world, c *Config) {
				twoProducts(w, c)
				rnd, mu := rand.New(rand.NewPCG(seed, 2)), sync.Mutex{}
				c.Rand = func() float64 { mu.Lock(); defer mu.Unlock(); return rnd.Float64() }
				c.Backoff = Backoff{Base: 20 * time.Millisecond, Max: 200 * time.Millisecond, Jitter: 0.5}
			}, func(t *testing.T, w *world) { againstHostile(t, w, seed) })
		})
	}
}

func againstHostile(t *testing.T, w *world, seed uint64) {
	h := &hostile{
		w: w, rnd: rand.New(rand.NewPCG(seed, 1)), log: map[string][]wire.Up{}, stored: map[uint64]bool{},
		bad: map[uint64]bool{}, over: map[uint64]bool{}, bodies: map[string]uint64{}, gaveUp: map[string]bool{},
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		var conns sync.WaitGroup
		defer conns.Wait()
		for {
			select {
			case r := <-w.conns:
				conns.Go(func() { h.serve(r) })
			case <-stop:
				return
			}
		}
	}()

	const senders, each = 6, 25
	var mu sync.Mutex
	answers := map[string]error{}
	var wg sync.WaitGroup
	for i := range senders {
		rnd := rand.New(rand.NewPCG(seed, uint64(100+i)))
		product := i % 2
		wg.Go(func() {
			for j := range each {
				body := fmt.Sprintf("%c/%d/%d", "pq"[product], i, j)
				ctx, cancel := context.WithCancel(t.Context())
				patience := time.Hour
				if rnd.IntN(4) == 0 {
					patience = time.Duration(rnd.IntN(1500)) * time.Millisecond
				}
				ended := time.AfterFunc(patience, func() {
					h.mu.Lock()
					h.gaveUp[body] = true
					h.mu.Unlock()
					cancel()
				})
				err := w.client.Send(ctx, "pq"[product:product+1], "k", 0, []byte(body))
				ended.Stop()
				cancel()
				mu.Lock()
				answers[body] = err
				mu.Unlock()
				<-time.After(time.Duration(rnd.IntN(60)) * time.Millisecond)
			}
		})
	}
	calm := time.AfterFunc(20*time.Second, func() {
		h.mu.Lock()
		h.calm = true
		h.mu.Unlock()
	})
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(5 * time.Minute):
		t.Fatal("a Send hangs")
	}
	calm.Stop()
	if err := w.stop(); err != nil {
		t.Error(err)
	}
	w.result <- nil
	close(stop)
	<-stopped
	h.judge(t, answers)
}

func (h *hostile) judge(t *testing.T, answers map[string]error) {
	counts := map[string]int{}
	for product, log := range h.log {
		var kept []uint64
		for _, u := range log {
			counts[string(u.Payload)]++
			if !errors.Is(answers[string(u.Payload)], context.Canceled) {
				kept = append(kept, u.UpID)
			}
		}
		if !slices.IsSorted(kept) {
			t.Errorf("the log of %s is not in order: %v", product, kept)
		}
	}
	stored, refused, gaveUp := 0, 0, 0
	for body, err := range answers {
		var ce *code.Error
		switch {
		case err == nil:
			stored++
			if counts[body] != 1 {
				t.Errorf("%s was confirmed, the log has it %d times", body, counts[body])
			}
		case errors.As(err, &ce) && ce.Code == code.InvalidArgument:
			refused++
			if counts[body] != 0 {
				t.Errorf("%s was refused and stored", body)
			}
		case errors.Is(err, context.Canceled):
			gaveUp++
			if counts[body] > 1 {
				t.Errorf("%s is in the log %d times", body, counts[body])
			}
		default:
			t.Errorf("%s: %v", body, err)
		}
	}
	if stored == 0 || refused+gaveUp == 0 {
		t.Errorf("%d stored, %d refused, %d given up: this proves nothing", stored, refused, gaveUp)
	}
}
