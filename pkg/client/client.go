// Package client is a small Go client of center's REST API for backend
// programs, and what the command line uses.
//
// Calls are repeated by the code of the error (pkg/code): "retry now" and
// "retry after" are tried again while the context lasts and tries remain, not
// before the hint; a hint longer than MaxWait is left to the caller. A push
// without a dedup_id gets one, so that a repetition never delivers twice. Calls
// that must not happen twice, such as the creation of a product, are repeated
// only after answers that say that nothing was done, and when no connection
// came about.
//
// Any center takes any call. A Client that knows several goes on with the next
// one after a center that cannot be reached, or that says that it is stopping or
// that something behind it is away, and stays with the one that answers. The
// first look at each of the others costs no wait.
//
// Events follows what devices send; it connects again by itself.
//
// Errors of the API are *Error, which unwraps to *code.Error.
package client

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Config of a Client. At least one center is named.
type Config struct {
	// Center is the base URL, such as http://127.0.0.1:7200.
	Center string
	// Centers are further ones of the same gateway; all are equal.
	Centers []string
	// APIKey is a product's key or the operator's.
	APIKey string
	// Tries is how often a call is made at most; 0: 4 and one more for each
	// further center, 1: never repeated.
	Tries int
	// MaxWait is the longest hint that is waited for; 0: 2 s. A full lane asks
	// for half a minute, which is for the caller to decide.
	MaxWait time.Duration
	// HTTP is used for the calls; nil: a client with a 70 s timeout, more than
	// the longest wait, that keeps up to 100 idle connections to a center. Its
	// timeout does not hold for Events.
	HTTP *http.Client
}

// idlePerCenter is how many connections wait for the next call. net/http's own
// number is 2: a backend with more calls at once would dial for most of them.
const idlePerCenter = 100

// Client calls the centers of one gateway. Safe for use by many goroutines.
type Client struct {
	cfg     Config
	centers centers
	stream  *http.Client // for answers without an end
}

// New checks the config.
func New(cfg Config) (*Client, error) {
	urls := cfg.Centers
	if cfg.Center != "" || len(urls) == 0 {
		urls = append([]string{cfg.Center}, urls...)
	}
	c := &Client{}
	for _, center := range urls {
		u, err := url.Parse(center)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
			return nil, fmt.Errorf("center address %q is not a URL such as http://127.0.0.1:7200", center)
		}
		c.centers.urls = append(c.centers.urls, strings.TrimSuffix(center, "/"))
	}
	if cfg.Tries < 0 || cfg.MaxWait < 0 {
		return nil, errors.New("neither Tries nor MaxWait may be negative")
	}
	if cfg.Tries == 0 {
		cfg.Tries = 3 + len(c.centers.urls)
	}
	if cfg.MaxWait == 0 {
		cfg.MaxWait = 2 * time.Second
	}
	if cfg.HTTP == nil {
		cfg.HTTP = &http.Client{Timeout: 70 * time.Second, Transport: transport()}
	}
	stream := *cfg.HTTP
	stream.Timeout = 0
	c.cfg, c.stream = cfg, &stream
	return c, nil
}

// transport is net/http's own, with more idle connections.
func transport() http.RoundTripper {
	t, ok := http.DefaultTransport.(*http.Transport)
	if !ok { // the program has put another one there
		return http.DefaultTransport
	}
	t = t.Clone()
	t.MaxIdleConns, t.MaxIdleConnsPerHost = 0, idlePerCenter
	return t
}

// Close drops the idle connections. Calls that run go on.
func (c *Client) Close() { c.cfg.HTTP.CloseIdleConnections() }
