package sdk

import "time"

// Backoff is a jittered exponential pause: the n-th is Base·2^(n-1), at most
// Max, of which the part Jitter (0 to 1) is random.
type Backoff struct {
	Base, Max time.Duration
	Jitter    float64
}

var (
	defaultBackoff        = Backoff{500 * time.Millisecond, time.Minute, 0.5}
	defaultHandlerBackoff = Backoff{200 * time.Millisecond, 30 * time.Second, 0.5}
)

// or fills what is unset or absurd from d, so that no server and no typing
// error can make a device dial in a tight loop or sleep for a day.
func (b Backoff) or(d Backoff) Backoff {
	if b.Base <= 0 {
		b.Base = d.Base
	}
	if b.Max <= 0 {
		b.Max = d.Max
	}
	b.Base = min(max(b.Base, time.Millisecond), time.Hour)
	b.Max = min(max(b.Max, b.Base), time.Hour)
	if b.Jitter <= 0 || b.Jitter > 1 {
		b.Jitter = d.Jitter
	}
	return b
}

// delay before the n-th retry, n from 1; rnd is in [0,1).
func (b Backoff) delay(n int, rnd float64) time.Duration {
	d := b.Max
	if n < 32 {
		if s := b.Base << (max(n, 1) - 1); s > 0 && s < b.Max {
			d = s
		}
	}
	return d - time.Duration(float64(d)*b.Jitter*rnd)
}

// late stretches a server's hint by up to a quarter: never earlier than asked,
// and not all devices at once.
func late(hint time.Duration, rnd float64) time.Duration {
	return hint + time.Duration(float64(hint)*0.25*rnd)
}
