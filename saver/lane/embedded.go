package lane

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
	"github.com/redis/go-redis/v9"
)

// runIDCommand is registered in the in-process server, whose INFO is too short.
const runIDCommand = "LONGLINK.RUNID"

// tick is how often the in-process server's TTLs move: its clock stands still
// for them otherwise.
const tick = 200 * time.Millisecond

// Embedded is a Redis-protocol server inside this process. It forgets
// everything when it stops: every start is the recovery from a lost Redis.
type Embedded struct {
	mu     sync.Mutex
	server *miniredis.Miniredis
	run    string
	closed bool
}

// NewEmbedded makes a running, empty server.
func NewEmbedded() (*Embedded, error) {
	e := &Embedded{}
	return e, e.Restart(false)
}

// Restart kills the server and starts it under a new run id: with its data as a
// Redis with persistence would, else empty.
func (e *Embedded) Restart(keep bool) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	old := e.server
	if old != nil {
		old.Close()
	}
	if old == nil || !keep {
		e.server = miniredis.NewMiniRedis()
	}
	var id [20]byte
	rand.Read(id[:])
	e.run = hex.EncodeToString(id[:])
	first, err := e.server.Dial() // starts the server
	if err != nil {
		return fmt.Errorf("in-process Redis: %w", err)
	}
	defer first.Close()
	run := e.run
	return e.server.Server().Register(runIDCommand, func(c *server.Peer, _ string, _ []string) { c.WriteBulk(run) })
}

// Options fills in how to reach the server.
func (e *Embedded) Options(o Options) Options {
	o.Dialer = func(context.Context) (net.Conn, error) {
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.closed {
			return nil, net.ErrClosed
		}
		return e.server.Dial()
	}
	o.RunID = func(ctx context.Context, c *redis.Conn) (string, error) {
		cmd := redis.NewStringCmd(ctx, runIDCommand)
		if err := c.Process(ctx, cmd); err != nil {
			return "", err
		}
		return cmd.Result()
	}
	return o
}

// Close stops the server for good.
func (e *Embedded) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	e.server.Close()
	return nil
}

// Run moves TTLs with the clock until ctx ends, and stops the server.
func (e *Embedded) Run(ctx context.Context) error {
	t := time.NewTicker(tick)
	defer t.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return e.Close()
		case <-t.C:
		}
		now := time.Now()
		e.mu.Lock()
		m := e.server
		e.mu.Unlock()
		m.FastForward(now.Sub(last))
		last = now
	}
}
