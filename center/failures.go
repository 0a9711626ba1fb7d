package center

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"longlink/pkg/code"
)

// failures warns of calls that the gateway failed at, with at most one line a
// second for each (call, code), so that an outage behind center does not fill
// the log: the first one at once, those that follow counted in the next line,
// which shows the latest of them. Each call has its own line at debug.
type failures struct {
	log *slog.Logger

	mu    sync.Mutex
	kinds map[failureKind]*failure // of the last minute
}

type failureKind struct {
	call string
	code code.Code
}

type failure struct {
	logged time.Time // the last line
	count  int       // since then
	latest []any     // log attributes
}

const failureEvery = time.Second

func newFailures(log *slog.Logger) *failures {
	return &failures{log: log, kinds: map[failureKind]*failure{}}
}

// note counts a failure in, with what a log line shows of it.
func (f *failures) note(now time.Time, k failureKind, attrs ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	x := f.kinds[k]
	if x == nil {
		x = &failure{}
		f.kinds[k] = x
	}
	x.count++
	x.latest = attrs
	if now.Sub(x.logged) >= failureEvery {
		f.warn(now, k, x)
	}
}

// run logs what is due until ctx ends.
func (f *failures) run(ctx context.Context) error {
	tick := time.NewTicker(failureEvery)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			f.flush(now)
		case <-ctx.Done():
			return nil
		}
	}
}

// flush logs what is due, and forgets kinds of failures that have become rare.
func (f *failures) flush(now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for k, x := range f.kinds {
		age := now.Sub(x.logged)
		switch {
		case x.count > 0 && age >= failureEvery:
			f.warn(now, k, x)
		case x.count == 0 && age >= time.Minute:
			delete(f.kinds, k)
		}
	}
}

// close logs what was counted and is not due yet.
func (f *failures) close(now time.Time) { f.flush(now.Add(failureEvery)) }

// warn writes one line; mu is held.
func (f *failures) warn(now time.Time, k failureKind, x *failure) {
	f.log.Warn("api calls failed", append([]any{"call", k.call, "code", k.code, "count", x.count}, x.latest...)...)
	x.logged, x.count, x.latest = now, 0, nil
}
