package e2e

import (
	"fmt"
	"sort"
	"time"
)

// Pushes counts the accepted ones.
func (tr *Traffic) Pushes() int { return int(tr.answered.Load()) }

// Missing lists the accepted pushes that the app has not seen, by their begin.
func (tr *Traffic) Missing() (out []*pushed) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for _, l := range tr.lanes {
		for _, p := range l.pushes {
			if p.seen.IsZero() {
				out = append(out, p)
			}
		}
	}
	sort.Slice(out, func(a, b int) bool { return out[a].began.Before(out[b].began) })
	return out
}

// AwaitAll waits until the app has seen every accepted message.
func (tr *Traffic) AwaitAll(limit time.Duration) {
	tr.t.Helper()
	await(tr.t, "every message to arrive", limit, func() error {
		if n := tr.Pushes() - int(tr.received.Load()); n > 0 {
			return fmt.Errorf("%d of %d are missing", n, tr.Pushes())
		}
		// More may have come than were accepted: then some came twice.
		if m := tr.Missing(); len(m) > 0 {
			return fmt.Errorf("%d of %d are missing, one of them in lane %s", len(m), tr.Pushes(), m[0].lane)
		}
		return nil
	})
}

// Check holds what the app saw against what was accepted: each message, once,
// in the order of its lane.
func (tr *Traffic) Check() {
	tr.t.Helper()
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for name, l := range tr.lanes {
		ok := len(l.seen) == len(l.pushes)
		for i, n := range l.seen {
			ok = ok && n == i
		}
		if !ok {
			tr.t.Errorf("lane %s: the app saw %v, want 0 to %d in order", name, l.seen, len(l.pushes)-1)
		}
	}
}

// Sent counts the pushes that were answered `sent`.
func (tr *Traffic) Sent() (n int) {
	tr.each(func(_ *lane, _ int, p *pushed) {
		if p.state == "sent" {
			n++
		}
	})
	return n
}

// Duplicates counts the messages that the SDK dropped because it had them.
func (tr *Traffic) Duplicates() (n uint64) {
	for _, d := range tr.devices {
		n += d.client.Stats().Duplicates
	}
	return n
}

func (tr *Traffic) each(do func(l *lane, place int, p *pushed)) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for _, l := range tr.lanes {
		for i, p := range l.pushes {
			do(l, i, p)
		}
	}
}
