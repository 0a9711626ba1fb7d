package center

import (
	"context"
	"net/http"
	"sync"
	"time"

	"longlink/pkg/code"
)

// followers bounds the calls that follow events. They last for hours, so they
// hold no place of max_requests once they have begun.
type followers struct {
	max        int
	maxProduct int           // of one product's keys
	ping       time.Duration // how long a stream is silent at most
	patience   time.Duration // with a reader that takes nothing
	mark       time.Duration // between two cursors while events come

	closing context.Context // done when the center stops
	close   context.CancelFunc

	mu        sync.Mutex
	all       int
	byProduct map[string]int
}

func newFollowers(cfg EventsConfig) *followers {
	f := &followers{max: cfg.MaxFollowers, maxProduct: cfg.MaxProductFollowers, ping: eventPing, patience: 2 * eventPing, mark: time.Second,
		byProduct: map[string]int{}}
	f.closing, f.close = context.WithCancel(context.Background())
	return f
}

// join counts a follower in, or answers RATE_LIMITED. leave must follow once
// when there is no error.
func (f *followers) join(who principal) (leave func(), err *code.Error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.closing.Err() != nil:
		return nil, errStopping()
	case f.all >= f.max:
		return nil, code.Errorf(code.RateLimited, "%d calls follow events at this center, as many as it takes; end one, ask another center or retry after the hint", f.all).WithRetry(f.ping)
	case !who.operator() && f.byProduct[who.product] >= f.maxProduct:
		return nil, code.Errorf(code.RateLimited, "%d calls with keys of product %s follow events at this center, as many as it may have; end one or retry after the hint", f.maxProduct, who.product).WithRetry(f.ping)
	}
	f.all++
	f.byProduct[who.product]++
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.all--
		if f.byProduct[who.product]--; f.byProduct[who.product] == 0 {
			delete(f.byProduct, who.product)
		}
	}, nil
}

func (f *followers) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.all
}

func errStopping() *code.Error { return code.Errorf(code.Shutdown, "this center is stopping") }

// lastWords is how long a stopping center waits for a stuck reader.
const lastWords = 250 * time.Millisecond

// lifeline ends a stream whose reader takes nothing: it moves the connection's
// (or in HTTP/2 the stream's) write deadline along with what is written. nil
// does nothing.
type lifeline struct {
	rc   *http.ResponseController
	wait time.Duration

	mu    sync.Mutex
	until time.Time
	over  bool // the deadline stays where it is
}

// extend gives the reader time for what is written next. A time that has passed
// is not given anew: HTTP/2 has ended the stream then.
func (l *lifeline) extend() {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if !l.until.IsZero() && !now.Before(l.until) {
		l.over = true
	}
	if !l.over {
		l.until = now.Add(l.wait)
		_ = l.rc.SetWriteDeadline(l.until) // not possible: the server's timeout holds
	}
}

// passed tells whether the reader has let its time go by.
func (l *lifeline) passed(now time.Time) bool {
	if l == nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.until.IsZero() && !now.Before(l.until)
}

// cut leaves time for last words only, also to a write that is under way.
func (l *lifeline) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.over {
		l.over = true
		_ = l.rc.SetWriteDeadline(time.Now().Add(lastWords))
	}
}

// end must come before the handler returns: the answer may not be touched then.
func (l *lifeline) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
}
