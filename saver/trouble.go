package saver

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// trouble is something that goes wrong for a while, hundreds of times a second:
// one line when it begins, one when it is over, with the count. Safe for use by
// many goroutines.
type trouble struct {
	log   *slog.Logger
	level slog.Level
	begin string
	end   string
	quiet time.Duration // without a failure, then it is over

	on    atomic.Bool
	mu    sync.Mutex
	since time.Time
	last  time.Time
	count int
}

// troubles are those of a saver.
type troubles struct {
	commit, void, redis, cursors, unreadable, waiters, inherit, upstream, upstreamReads, rare, claims, heirs *trouble
}

// calmAfter is how long nothing must go wrong before a trouble is over: one that
// comes and goes is one.
const calmAfter = 2 * time.Second

func newTroubles(log *slog.Logger) troubles {
	t := func(level slog.Level, begin, end string) *trouble {
		return &trouble{log: log, level: level, begin: begin, end: end, quiet: calmAfter}
	}
	all := troubles{
		commit:        t(slog.LevelError, "commits fail; the messages are in Redis, their callers are told UNKNOWN", "commits succeed again"),
		void:          t(slog.LevelWarn, "Redis changed during appends; their rows are marked void", "appends are not disturbed by Redis any more"),
		redis:         t(slog.LevelWarn, "Redis cannot be reached; trying on", "Redis is reached again"),
		cursors:       t(slog.LevelWarn, "cursors cannot be written to the ledger; trying on", "cursors are written to the ledger again"),
		unreadable:    t(slog.LevelError, "a lane holds a message that cannot be read; it is left out", "no unreadable message was met any more"),
		waiters:       t(slog.LevelWarn, "calls that wait for acks cannot read cursors from the ledger", "cursors are read from the ledger again"),
		inherit:       t(slog.LevelWarn, "the lanes of a saver that ended cannot be read from the ledger; trying on", "the lanes of a saver that ended were read"),
		upstream:      t(slog.LevelError, "upstream items cannot be committed; their senders are told UNAVAILABLE and send them again", "upstream items are committed again"),
		upstreamReads: t(slog.LevelWarn, "the upstream log cannot be read from the ledger", "the upstream log is read again"),
		rare:          t(slog.LevelWarn, "the ledger fails recalls, look-ups by id and calls for aliases; they are refused UNAVAILABLE", "recalls, look-ups and calls for aliases succeed again"),
		claims:        t(slog.LevelWarn, "aliases that tokens name cannot be written to the ledger; logins go on, trying on", "aliases that tokens name are written to the ledger again"),
		heirs:         t(slog.LevelWarn, "the aliases of deleted products cannot be removed from the ledger; trying on", "the aliases of deleted products are removed"),
	}
	all.inherit.quiet, all.heirs.quiet = 0, 0 // success ends them
	return all
}

// saw notes that n things went wrong. args go into the first line only.
func (t *trouble) saw(n int, err error, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = time.Now()
	t.count += n
	if t.on.Load() {
		return
	}
	t.since = t.last
	t.on.Store(true)
	if err != nil {
		args = append(args, "err", err)
	}
	t.log.Log(context.Background(), t.level, t.begin, args...)
}

// fine notes that the same went well.
func (t *trouble) fine() {
	if !t.on.Load() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.on.Load() || time.Since(t.last) < t.quiet {
		return
	}
	t.log.Info(t.end, "count", t.count, "lasted", t.last.Sub(t.since).Round(time.Millisecond))
	t.on.Store(false)
	t.count = 0
}
