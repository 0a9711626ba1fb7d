package saver

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"longlink/pkg/api"
	"longlink/saver/ledger"
)

// claims makes true what tokens say: the alias that a device's token names is
// its only one in that product. Most logins say what is so already, and cost one
// read together. The others are written before their loads are answered, all by
// one writer, so that of two claims of a device the later one wins. A ledger that
// is away or slow holds no login up for longer than a moment: its claims stay
// here and are written when it is back.
type claims struct {
	ledger   *ledger.Ledger
	log      *slog.Logger
	fails    *trouble
	m        *metrics
	limit    int           // claims that may wait
	patience time.Duration // of a load
	timeout  time.Duration // of one write

	wake chan struct{} // capacity 1: something waits

	fullSaid time.Time // by the writer

	mu      sync.Mutex
	waiting map[claimKey]*claim
	order   []claimKey // of waiting, oldest first
	leaving map[claimKey]*claim
	failing bool // the last write or look failed: nobody waits for the next one
}

type claimKey struct{ device, product string }

type claim struct {
	ledger.AliasClaim
	tried chan struct{} // closed when the first try has ended, or a later claim came
	once  sync.Once
}

func (c *claim) end() { c.once.Do(func() { close(c.tried) }) }

const (
	// claimBatch claims go into one transaction.
	claimBatch = 200
	// claimPatience is the longest that a load waits for its claim.
	claimPatience = time.Second
	// claimRest is the writer's rest after a failure.
	claimRest = 500 * time.Millisecond
	// claimLate is the age from which on a later login may have been elsewhere.
	claimLate = 2 * time.Second
	// claimFullEvery is how often a full alias is said.
	claimFullEvery = time.Minute
)

func newClaims(s *Saver) *claims {
	timeout := s.cfg.Ledger.Timeout.Std()
	return &claims{ledger: s.ledger, log: s.log, fails: s.troubles.claims, m: s.metrics, limit: s.cfg.Work.AliasPending,
		patience: min(timeout, claimPatience), timeout: timeout,
		wake: make(chan struct{}, 1), waiting: map[claimKey]*claim{}, leaving: map[claimKey]*claim{}}
}

// claimOf is what a load claims; nil: nothing.
func claimOf(it *api.LoadItem, now time.Time) *claim {
	if !it.Login || it.Alias == "" {
		return nil
	}
	return &claim{tried: make(chan struct{}),
		AliasClaim: ledger.AliasClaim{Product: it.Product, Device: it.Device, Alias: it.Alias, AtMS: now.UnixMilli()}}
}

// hold returns when the claims of a batch are in the ledger, or will be.
func (c *claims) hold(all []*claim) {
	if len(all) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.patience)
	defer cancel()
	all = c.news(ctx, latest(all))
	if len(all) == 0 || !c.put(all) {
		return
	}
	for _, x := range all {
		select {
		case <-x.tried:
		case <-ctx.Done():
			c.m.claim("LATE", 1)
			return
		}
	}
}

// latest leaves one claim of each device and product, the last.
func latest(all []*claim) []*claim {
	at := make(map[claimKey]int, len(all))
	out := all[:0]
	for _, x := range all {
		if i, twice := at[x.key()]; twice {
			out[i] = x
			continue
		}
		at[x.key()] = len(out)
		out = append(out, x)
	}
	return out
}

// news leaves out the claims that hold already. One whose device has another
// claim on its way is news whatever the ledger says.
func (c *claims) news(ctx context.Context, all []*claim) []*claim {
	var ask []*claim
	var rows []ledger.AliasClaim
	var out []*claim
	c.mu.Lock()
	failing := c.failing
	for _, x := range all {
		if k := x.key(); failing || c.waiting[k] != nil || c.leaving[k] != nil {
			out = append(out, x)
			continue
		}
		ask, rows = append(ask, x), append(rows, x.AliasClaim)
	}
	c.mu.Unlock()
	if len(ask) == 0 {
		return out
	}
	held, err := c.ledger.ClaimsHeld(ctx, rows)
	if err != nil {
		c.failed(1, err)
		return all
	}
	same := 0
	for i, x := range ask {
		if held[i] {
			same++
			continue
		}
		out = append(out, x)
	}
	c.m.claim("HELD", same)
	return out
}

func (x *claim) key() claimKey { return claimKey{x.Device, x.Product} }
