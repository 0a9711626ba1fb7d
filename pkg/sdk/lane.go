package sdk

import (
	"context"
	"time"
)

// MaxWindow bounds a lane's queue whatever window the server announces.
const MaxWindow = 4096

// lane is a queue with at most one worker; guarded by Client.mu.
type lane struct {
	p       *product
	queue   []Message
	stored  int    // messages with a seq in queue; the others are qos 0
	last    uint64 // own lane: highest seq that was queued or consumed
	busy    bool   // a worker runs
	running uint64 // seq in the handler's hands, 0: none
	place   uint16 // of running, for a broadcast
	done    uint64 // seq that the handler took last
	gen     int    // rises when what runs is no longer wanted
	changed chan struct{}
	places  map[uint16]uint64 // broadcasts: highest seq queued or running by place
}

func newLane(p *product) *lane {
	return &lane{p: p, changed: make(chan struct{}), places: map[uint16]uint64{}}
}

// restart empties the queue, whose messages the server will send again, before
// a connection's first PUSH or after a jump of the cursor. What the handler has
// in its hands stays, unless abandon is set: then its retries end.
func (l *lane) restart(abandon bool) {
	kept := l.queue[:0]
	for _, m := range l.queue {
		if m.Seq == 0 {
			kept = append(kept, m)
		}
	}
	clear(l.queue[len(kept):])
	l.queue, l.stored = kept, 0
	clear(l.places)
	if abandon {
		l.gen++
		close(l.changed)
		l.changed = make(chan struct{})
		l.running = 0
	}
	l.last = max(l.p.cursor, l.running)
	if l == l.p.cast && l.running != 0 {
		l.places[l.place] = l.running
	}
}

// verdict is what becomes of an arriving message.
type verdict int

const (
	queued verdict = iota
	duplicate
	full
)

// offer queues m unless it is known or the queue holds window messages.
func (l *lane) offer(m Message, window int) verdict {
	switch {
	case m.Seq == 0:
		if len(l.queue)-l.stored >= window {
			return full
		}
		l.queue = append(l.queue, m)
		return queued
	case m.Broadcast && (l.p.hasSeen(&m) || m.Seq <= l.places[m.Place]):
		return duplicate
	case !m.Broadcast && m.Seq <= l.last:
		return duplicate
	case l.stored >= window:
		return full
	case m.Broadcast:
		l.places[m.Place] = m.Seq
	default:
		l.last = m.Seq
	}
	l.queue, l.stored = append(l.queue, m), l.stored+1
	return queued
}

// pop takes the next message into the worker's hands.
func (l *lane) pop() (m Message, ok bool) {
	if len(l.queue) == 0 {
		l.queue, l.busy, l.running = nil, false, 0
		return m, false
	}
	m = l.queue[0]
	l.queue[0] = Message{}
	l.queue = l.queue[1:]
	if m.Seq != 0 {
		l.stored--
	}
	l.running, l.place = m.Seq, m.Place
	return m, true
}

// startLane starts the lane's worker if it has none. Caller holds mu.
func (c *Client) startLane(l *lane) {
	if l.busy || len(l.queue) == 0 {
		return
	}
	l.busy = true
	c.group.Go("lane", func(ctx context.Context) error { return c.work(ctx, l) })
}

// work handles the lane's messages until the queue is empty.
func (c *Client) work(ctx context.Context, l *lane) error {
	for {
		c.mu.Lock()
		m, ok := l.pop()
		gen, changed := l.gen, l.changed
		// A cut cursor may bring a message again that was being handled then.
		again := ok && !m.Broadcast && m.Seq != 0 && m.Seq == l.done
		c.mu.Unlock()
		if !ok {
			return nil
		}
		if !again && !c.handle(ctx, m, changed) {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			continue
		}
		c.mu.Lock()
		if m.Seq != 0 && !m.Broadcast {
			l.done = m.Seq
		}
		if m.Seq != 0 && gen == l.gen && !c.cfg.NoAck {
			l.p.consumed(&m)
			c.changedState()
		}
		c.mu.Unlock()
	}
}

// handle calls the handler until it takes m; false when ctx ended, the message
// is no longer wanted, or it was a qos 0 message, which gets one try.
func (c *Client) handle(ctx context.Context, m Message, changed <-chan struct{}) bool {
	for n := 1; ; n++ {
		err := c.group.Guard("handler", func() error { return c.cfg.Handler(ctx, m) })
		if err == nil {
			c.count.handled.Add(1)
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		c.count.handlerErrors.Add(1)
		if m.Seq == 0 {
			c.count.droppedQoS0.Add(1)
			c.cfg.Logger.Warn("handler failed, a qos 0 message is lost", "product", m.Product, "id", m.ID, "err", err)
			return false
		}
		pause := c.cfg.HandlerBackoff.delay(n, c.cfg.Rand())
		c.cfg.Logger.Warn("handler failed, the lane waits", "product", m.Product, "id", m.ID, "seq", m.Seq, "try", n, "retry_in", pause, "err", err)
		t := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-changed:
		case <-t.C:
			continue
		}
		t.Stop()
		return false
	}
}
