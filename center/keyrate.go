package center

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"longlink/pkg/code"
)

// keyRates holds each API key to a number of requests a second, with a burst of
// as many. It knows at most maxFound keys and forgets all of them then, which
// gives each a fresh burst.
type keyRates struct {
	perSecond int // 0: no limit

	mu    sync.Mutex
	byKey map[principal]*rate.Limiter
}

func newKeyRates(perSecond int) *keyRates {
	return &keyRates{perSecond: perSecond, byKey: map[principal]*rate.Limiter{}}
}

// take admits one request, or answers RATE_LIMITED with the time to wait.
func (k *keyRates) take(who principal, now time.Time) *code.Error {
	if k.perSecond == 0 {
		return nil
	}
	r := k.limiter(who).ReserveN(now, 1)
	wait := r.DelayFrom(now)
	if wait == 0 {
		return nil
	}
	r.CancelAt(now)
	return code.Errorf(code.RateLimited, "this key has made %d requests within a second, as many as it may", k.perSecond).WithRetry(wait)
}

func (k *keyRates) limiter(who principal) *rate.Limiter {
	k.mu.Lock()
	defer k.mu.Unlock()
	l, ok := k.byKey[who]
	if !ok {
		if len(k.byKey) >= maxFound {
			clear(k.byKey)
		}
		l = rate.NewLimiter(rate.Limit(k.perSecond), k.perSecond)
		k.byKey[who] = l
	}
	return l
}
