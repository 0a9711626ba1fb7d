package sdk

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"longlink/pkg/code"
	"longlink/pkg/lifecycle"
)

// settled is how long a connection must have lived for the next break to count
// as the first again.
const settled = 10 * time.Second

// maxRefusedTokens is how many fresh tokens in a row the server may refuse.
const maxRefusedTokens = 3

// Client is one device. Make it with New, run it with Run; the other methods
// may be called from any goroutine.
type Client struct {
	cfg   Config
	group *lifecycle.Group // set by Run
	dirty chan struct{}    // wakes the store goroutine
	count counters

	// Owned by the connect goroutine.
	book       *addressBook
	backoff    Backoff
	dispatcher int // index of the one that answered last
	token      string
	refused    int // tokens refused in a row

	mu           sync.Mutex // guards all below
	started      bool
	products     map[string]*product
	order        []string // of binding
	state        State    // Products only of products that are not in the map above
	stored       State    // what the store holds for sure; never changed in place
	version      uint64   // of state and cursors
	savedVersion uint64
	heartbeat    time.Duration // wish
	session      *session      // nil between connections
	ended        bool          // Run has returned, or is about to
	lastUpID     uint64
	sends        map[uint64]*up // what is in the products' outboxes, by up_id
	sendBytes    int            // of their bodies
}

// New checks the config and loads the device's state.
func New(cfg Config) (*Client, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	state, err := cfg.Store.Load(cfg.Device)
	if err != nil {
		return nil, err
	}
	c := &Client{
		cfg: cfg, dirty: make(chan struct{}, 1), backoff: cfg.Backoff,
		products: map[string]*product{}, state: state.clone(), stored: state.clone(), heartbeat: cfg.Heartbeat,
		sends: map[uint64]*up{},
	}
	for _, p := range cfg.Products {
		c.addProduct(p)
	}
	var ask func(context.Context, []string) (*answer, error)
	if len(cfg.Dispatcher) > 0 {
		ask = c.askDispatcher
	}
	c.book = newAddressBook(state.Addresses[cfg.Network], cfg.Addresses, ask)
	return c, nil
}

// Run connects and stays connected. It returns nil when ctx ends, after its
// last goroutine and the last save, and an error that wraps a *code.Error when
// the server refused the device for good. It may be called once.
func (c *Client) Run(ctx context.Context) error {
	c.mu.Lock()
	if c.started {
		c.mu.Unlock()
		return errors.New("sdk: Run was called before; make a new Client")
	}
	c.started = true
	c.group = lifecycle.NewGroup(ctx, c.cfg.Logger, nil)
	c.mu.Unlock()
	c.group.Go("store", c.storeLoop)
	var refused error
	c.group.Go("connect", func(ctx context.Context) error {
		refused = c.connectLoop(ctx)
		return refused
	})
	err := c.group.Wait()
	if err != nil && refused != nil && errors.Is(err, refused) {
		err = refused // without the group's words before it
	}
	c.mu.Lock()
	c.closeSends()
	unsaved := c.version != c.savedVersion
	c.mu.Unlock()
	if unsaved {
		if ferr := c.flush(); ferr != nil {
			err = errors.Join(err, fmt.Errorf("saving the cursors at the end: %w", ferr))
		}
	}
	return err
}

// connectLoop makes one session after the other.
func (c *Client) connectLoop(ctx context.Context) error {
	for fails := 0; ; {
		end := c.connectOnce(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := c.judgeToken(end); err != nil {
			return err
		}
		if end.lived >= settled {
			fails = 0
		}
		fails++
		pause := c.pause(end, fails)
		c.cfg.Logger.Info("connecting again", "code", end.code, "reason", end.reason, "addr", end.addr, "in", pause)
		if !sleep(ctx, pause) {
			return ctx.Err()
		}
	}
}

// connectOnce finds an address and runs a session on it.
func (c *Client) connectOnce(ctx context.Context) *ending {
	if c.token == "" {
		tok, err := c.cfg.Token(ctx)
		if err != nil {
			return &ending{code: code.Unavailable, action: code.RetryNow, reason: "no token: " + err.Error()}
		}
		c.token = tok
	}
	addr, ans, err := c.book.next(ctx)
	if err != nil {
		end := &ending{code: code.Unavailable, action: code.RetryNow, reason: "no address: " + err.Error()}
		if ce := (*code.Error)(nil); errors.As(err, &ce) {
			end.retry = ce.Retry
		}
		return end
	}
	if ans != nil {
		c.backoff = ans.backoff.or(c.cfg.Backoff)
		if c.cfg.Heartbeat == 0 {
			c.mu.Lock()
			c.heartbeat = ans.heartbeat
			c.mu.Unlock()
		}
	}
	end := c.runSession(ctx, addr, c.token)
	if end.welcomed {
		c.book.succeed(addr)
		c.refused = 0
	}
	switch {
	case len(end.moved) > 0:
		c.book.move(addr, end.moved)
	case end.action == code.OtherAddress:
		c.book.fail(addr)
	}
	return end
}

// judgeToken says whether the ending is for good. A refused token gets a
// successor, unless the app has none that differs.
func (c *Client) judgeToken(end *ending) error {
	if !end.remote || end.action != code.Never {
		return nil
	}
	final := fmt.Errorf("the server refused device %s for good: %w", c.cfg.Device, code.Errorf(end.code, "%s", end.reason))
	if end.code != code.TokenExpired && end.code != code.TokenInvalid {
		return final
	}
	if c.refused++; c.refused > maxRefusedTokens {
		return final
	}
	old := c.token
	tok, err := c.cfg.Token(c.group.Context())
	switch {
	case err != nil:
		c.token = "" // asked for again before the next connection
	case tok == old:
		return final
	default:
		c.token = tok
	}
	return nil
}

// pause is how long to stay away, by the code's action.
func (c *Client) pause(end *ending, fails int) time.Duration {
	rnd := c.cfg.Rand()
	back := c.backoff.delay(fails, rnd)
	if fails == 1 {
		back = time.Duration(float64(c.backoff.Base) * rnd) // a herd that was thrown off together spreads over Base
	}
	switch {
	case len(end.moved) > 0 && fails == 1:
		return 0 // it was spread before it left
	case end.retry > 0:
		return max(back, late(end.retry, rnd))
	}
	return back
}
