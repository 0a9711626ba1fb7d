package sdk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"

	"longlink/pkg/code"
	"longlink/pkg/wire"
)

// Product is one product that the device wants on its connection.
type Product struct {
	Name string
	Tags []string
	// Grant is a bind grant (JWT) from the product's backend, needed when the
	// device token does not name the product.
	Grant string
}

// Config says who the device is, where it connects and what the app wants to
// hear. Device, Token, Handler and one of Dispatcher and Addresses are
// required. Callbacks are called one at a time from the client's goroutines and
// must return promptly; nil ones are not called.
type Config struct {
	Device string
	// Token returns a device token. It is called before the first login and
	// again when the server says that the token is expired or invalid. An error
	// is retried with back-off.
	Token    func(ctx context.Context) (string, error)
	Products []Product

	// Dispatcher holds base URLs (http://host:port) that are asked in turn.
	Dispatcher []string
	// Addresses are rooms (host:port) to use without a dispatcher, or before
	// its first answer.
	Addresses []string
	// Network is one of wifi 5g 4g 3g 2g wired, or empty.
	Network string

	// Store keeps cursors over restarts. nil: in memory only, so that a restart
	// sees unexpired messages again.
	Store CursorStore

	// Handler consumes a message. It may be called for several lanes at once,
	// never twice at once for one lane. It must return when ctx ends. A panic
	// counts as an error.
	Handler func(ctx context.Context, m Message) error
	// NoAck hands messages to the handler without ever storing a cursor or
	// acknowledging: for watching what a server sends.
	NoAck bool

	OnConnected    func(Connected)
	OnDisconnected func(Disconnected)
	OnRedirect     func(Redirect)
	OnBound        func(Bound)

	// Heartbeat is the interval the device would like; the server decides. 0:
	// what the dispatcher suggests.
	Heartbeat time.Duration
	// PongTimeout is how long a silent server is waited for after a PING;
	// default 15 s.
	PongTimeout time.Duration
	// LoginTimeout bounds dialing, and separately the wait for WELCOME; default
	// 15 s.
	LoginTimeout time.Duration
	// Backoff between connection attempts; a dispatcher's answer overrides it.
	Backoff Backoff
	// HandlerBackoff is the pause after a failed handler; default 200 ms to 30 s.
	HandlerBackoff Backoff

	// Logger gets what the client does by itself; nil: nothing.
	Logger *slog.Logger
	// Dial, HTTP and Rand are for tests and unusual networks. Rand returns
	// numbers in [0,1) and may be called from several goroutines. Time is the
	// time package's: tests run in a testing/synctest bubble.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	HTTP *http.Client
	Rand func() float64
}

// Connected: the room has welcomed the device and answered for every product,
// and the cursors are stored.
type Connected struct {
	Device  string
	Room    string // instance id
	Addr    string
	Session uint64 // this session's epoch
	Resumed bool
}

// Disconnected: a connection ended, also one that the room refused at login.
type Disconnected struct {
	Device string
	Addr   string
	Code   code.Code // the server's, or the local finding; OK when the client left by itself
	Reason string
	Remote bool // the server said so in a BYE
}

// Redirect: the room asks the device to move to one of these addresses.
type Redirect struct {
	Device    string
	Addresses []string
	Code      code.Code
	Delay     time.Duration // after which the client leaves
}

// Bound: what became of one product.
type Bound struct {
	Device  string
	Product string
	Code    code.Code
	Retry   time.Duration // the client binds again after it; 0: it does not
	Message string
}

// Defaults of Config.
const (
	defaultPongTimeout  = 15 * time.Second
	defaultLoginTimeout = 15 * time.Second
	defaultHeartbeat    = 300 * time.Second // SURFACE's cellular interval
	clientName          = "longlink-go/1"
)

func (c *Config) complete() error {
	switch {
	case !wire.ValidName(c.Device):
		return fmt.Errorf("device %q must be 1 to 64 characters A-Z a-z 0-9 . _ ~ -", c.Device)
	case c.Token == nil:
		return errors.New("config has no Token function: the device cannot log in")
	case c.Handler == nil:
		return errors.New("config has no Handler: nobody would consume the messages")
	case len(c.Dispatcher) == 0 && len(c.Addresses) == 0:
		return errors.New("config has neither Dispatcher URLs nor Addresses: the device knows nowhere to connect")
	case len(c.Products) > wire.MaxBindings:
		return fmt.Errorf("%d products, at most %d fit on one connection", len(c.Products), wire.MaxBindings)
	}
	seen := map[string]bool{}
	for _, p := range c.Products {
		if err := p.check(); err != nil {
			return err
		}
		if seen[p.Name] {
			return fmt.Errorf("product %q is named twice", p.Name)
		}
		seen[p.Name] = true
	}
	for _, d := range c.Dispatcher {
		if u, err := url.Parse(d); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return fmt.Errorf("dispatcher %q is not a URL like http://host:port", d)
		}
	}
	for _, a := range c.Addresses {
		if !validAddress(a) {
			return fmt.Errorf("address %q is not host:port", a)
		}
	}
	c.fill()
	return nil
}

func (c *Config) fill() {
	c.Dispatcher, c.Addresses = slices.Clone(c.Dispatcher), slices.Clone(c.Addresses)
	if c.Store == nil {
		c.Store = NewMemoryStore()
	}
	if c.PongTimeout <= 0 {
		c.PongTimeout = defaultPongTimeout
	}
	if c.LoginTimeout <= 0 {
		c.LoginTimeout = defaultLoginTimeout
	}
	c.Backoff = c.Backoff.or(defaultBackoff)
	c.HandlerBackoff = c.HandlerBackoff.or(defaultHandlerBackoff)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Logger = c.Logger.With("device", c.Device)
	if c.Dial == nil {
		c.Dial = (&net.Dialer{}).DialContext
	}
	if c.HTTP == nil {
		c.HTTP = http.DefaultClient
	}
	if c.Rand == nil {
		c.Rand = rand.Float64
	}
}

func (p Product) check() error {
	if !wire.ValidName(p.Name) {
		return fmt.Errorf("product %q must be 1 to 64 characters A-Z a-z 0-9 . _ ~ -", p.Name)
	}
	if len(p.Tags) > wire.MaxTags {
		return fmt.Errorf("product %q has %d tags, at most %d are allowed", p.Name, len(p.Tags), wire.MaxTags)
	}
	for _, t := range p.Tags {
		if !wire.ValidName(t) {
			return fmt.Errorf("tag %q of product %q must be 1 to 64 characters A-Z a-z 0-9 . _ ~ -", t, p.Name)
		}
	}
	return nil
}

func validAddress(a string) bool {
	host, port, err := net.SplitHostPort(a)
	return err == nil && host != "" && port != "" && len(a) <= 256
}
