package bench

import (
	"context"
	"fmt"
	"sync"
	"time"

	"longlink/pkg/client"
	"longlink/pkg/lifecycle"
)

// messageTTL of the messages: what a broken run leaves is gone soon.
const messageTTL = 10 * time.Minute

// hopeless is how many refusals without one success end a load.
const hopeless = 1000

// pusher sends a load through the API with a fixed number of callers.
type pusher struct {
	gate    *gateway
	o       *Options
	run     uint64
	devices []credential
	began   time.Time
	most    uint64

	mu   sync.Mutex
	next uint64 // guarded by mu
	out  sent   // guarded by mu
	good int    // guarded by mu
}

// push sends messages to the devices in turn. With a rate, call k is due at
// k / rate after the beginning and starts then, or when a caller is free; how
// late is counted. A stamp has the time at which its call really began. Calls
// that are not begun after one and a half durations are skipped.
func (g *gateway) push(ctx context.Context, o *Options, run uint64, devices []credential) (sent, error) {
	p := &pusher{gate: g, o: o, run: run, devices: devices, began: time.Now(), most: MaxMessages,
		out: sent{states: map[string]int{}, rejected: map[string]int{}}}
	if o.Messages > 0 {
		p.most = uint64(o.Messages)
	}
	group := lifecycle.NewGroup(ctx, nil, nil)
	for range o.Concurrency {
		group.Go("bench caller", p.caller)
	}
	err := group.Wait()
	if err == nil {
		err = ctx.Err()
	}
	for k := p.next; p.o.Rate > 0 && k < p.most && p.due(k) < p.o.Duration; k++ {
		p.out.skipped++
	}
	return p.out, err
}

// due is when call k is due, counted from the beginning, with a rate.
func (p *pusher) due(k uint64) time.Duration {
	return time.Duration(float64(k) / p.o.Rate * float64(time.Second))
}

// ticket is the next message's number and, with a rate, when it is due.
func (p *pusher) ticket() (k uint64, due time.Time, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	k = p.next
	if k >= p.most {
		return 0, due, false
	}
	due = time.Now()
	if p.o.Rate > 0 {
		if due.Sub(p.began) >= p.o.Duration+p.o.Duration/2 {
			return 0, due, false
		}
		due = p.began.Add(p.due(k))
	}
	if due.Sub(p.began) >= p.o.Duration {
		return 0, due, false
	}
	p.next++
	return k, due, true
}

func (p *pusher) caller(ctx context.Context) error {
	payload := make([]byte, p.o.Payload)
	var answers, late Histogram
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.out.answer.Merge(&answers)
		p.out.late.Merge(&late)
	}()
	for {
		k, due, ok := p.ticket()
		if !ok {
			return nil
		}
		if err := sleepUntil(ctx, due); err != nil {
			return err
		}
		now := time.Now()
		if p.o.Rate > 0 {
			late.Record(now.Sub(due))
		}
		stamp{p.run, k, now}.write(payload)
		rep, err := p.gate.api.Push(ctx, client.PushRequest{
			Product: p.o.Product, Device: p.devices[k%uint64(len(p.devices))].ID, Payload: payload, TTL: messageTTL.String(),
		})
		answers.Record(time.Since(now))
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := p.settled(k, &rep, err); err != nil {
			return err
		}
	}
}

// settled counts an answer; an error ends the load.
func (p *pusher) settled(k uint64, rep *client.PushReply, err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil && len(rep.Results) == 1 {
		p.good++
		p.out.accepted.add(k)
		p.out.states[rep.Results[0].State]++
		return nil
	}
	if err == nil {
		return fmt.Errorf("center answered a push to one device with %d results", len(rep.Results))
	}
	p.out.rejected[client.CodeOf(err).String()]++
	if p.good == 0 && total(p.out.rejected) >= hopeless {
		return fmt.Errorf("every push was refused: %w", err)
	}
	return nil
}
