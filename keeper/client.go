package keeper

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3rpc"
	"go.etcd.io/etcd/server/v3/proxy/grpcproxy/adapter"
	"go.uber.org/zap"

	"longlink/pkg/cluster"
	"longlink/pkg/lifecycle"
)

// Options of Connect.
type Options struct {
	// Member is this process's embedded member; nil: the endpoints of Config.
	Member   *Embedded
	Log      *slog.Logger
	Registry prometheus.Registerer // takes one Client; nil: no metrics are shown
	Life     *lifecycle.Metrics    // may be nil
}

// Client is a process's way to etcd. Its methods are safe for use by many
// goroutines.
type Client struct {
	cfg     Config
	log     *slog.Logger
	life    *lifecycle.Metrics
	metrics *metrics
	etcd    *clientv3.Client
	// newLease makes a lease keeper of its own: one that etcd's client has
	// halted never works again.
	newLease func() clientv3.Lease

	views     views
	directory *Directory
	sections  *sections

	contactAt atomic.Int64  // monotonic nanoseconds since start
	clusterID atomic.Uint64 // of the etcd that answered last
	newest    atomic.Int64  // highest revision seen
	start     time.Time
	closeOnce sync.Once

	mu      sync.Mutex // held by a list before Run
	running bool       // guarded by mu: Run follows
}

// Connect reaches etcd, within Config.ConnectTimeout and a bounded number of
// tries, and loads the view, the directory and the config sections. Run follows
// them from then on; a Client that never runs must be closed.
func Connect(ctx context.Context, cfg Config, o Options) (*Client, error) {
	c := &Client{cfg: cfg, log: o.Log, life: o.Life, start: time.Now()}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	reg := o.Registry
	if reg == nil {
		reg = prometheus.NewRegistry()
	}
	if err := c.open(o.Member); err != nil {
		return nil, err
	}
	c.metrics = newMetrics(reg, c.Age, func() uint64 { return c.views.View().Revision })
	c.views.init(c)
	c.directory = newDirectory(c)
	c.sections = newSections(c)
	if err := c.load(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func (c *Client) open(m *Embedded) error {
	if m != nil {
		c.etcd = v3client.New(m.etcd.Server)
		remote := adapter.LeaseServerToLeaseClient(v3rpc.NewQuotaLeaseServer(m.etcd.Server))
		c.newLease = func() clientv3.Lease {
			return clientv3.NewLeaseFromLeaseClient(remote, c.etcd, c.cfg.RequestTimeout.Std())
		}
		return nil
	}
	if len(c.cfg.Endpoints) == 0 {
		return errors.New("keeper.endpoints is empty and this process runs no keeper: name the addresses of etcd, such as [\"10.0.0.1:2379\"]")
	}
	var err error
	c.etcd, err = clientv3.New(clientv3.Config{
		Endpoints:   c.cfg.Endpoints,
		Username:    c.cfg.Username,
		Password:    c.cfg.Password,
		DialTimeout: c.cfg.RequestTimeout.Std(),
		// etcd refuses pings more often than every 5 s.
		DialKeepAliveTime:    10 * time.Second,
		DialKeepAliveTimeout: 3 * time.Second,
		Logger:               zap.NewNop(),
	})
	if err != nil {
		return c.unreachable(err)
	}
	c.newLease = func() clientv3.Lease { return clientv3.NewLease(c.etcd) }
	return nil
}

// load lists everything once.
func (c *Client) load(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.ConnectTimeout.Std())
	defer cancel()
	pause := newPause()
	for {
		err := c.probe(ctx)
		for _, f := range c.followers() {
			if err == nil {
				err = f.list(ctx)
			}
		}
		if err == nil {
			return nil
		}
		c.log.Debug("etcd does not answer yet", "err", err)
		if !wait(ctx, pause.NextBackOff()) {
			return c.unreachable(err)
		}
	}
}

func (c *Client) unreachable(err error) error {
	if len(c.cfg.Endpoints) == 0 {
		return fmt.Errorf("the embedded etcd does not answer: %w", err)
	}
	return fmt.Errorf("keeper.endpoints: etcd at %s does not answer within %v (%w): start it, or correct the address",
		strings.Join(c.cfg.Endpoints, ", "), c.cfg.ConnectTimeout, err)
}

type following interface {
	list(ctx context.Context) error
	run(ctx context.Context) error
	await(ctx context.Context, revision int64) error
	again()
}

func (c *Client) followers() []following {
	return []following{c.views.follower, c.directory.products, c.directory.shared, c.sections.follower}
}

// Run follows etcd until ctx ends, and closes the client. It never fails
// because of etcd.
func (c *Client) Run(ctx context.Context, ready func()) error {
	defer c.Close()
	c.mu.Lock()
	c.running = true
	c.mu.Unlock()
	g := lifecycle.NewGroup(ctx, c.log, c.life)
	for _, f := range c.followers() {
		g.Go("keeper follow", f.run)
	}
	g.Go("keeper probe", c.probeLoop)
	g.Go("keeper holds", c.recordHolds)
	ready()
	return g.Wait()
}

// catchUp brings a copy to a revision: by listing while nobody follows yet.
func (c *Client) catchUp(ctx context.Context, f following, revision int64) error {
	return c.whenFollowed(ctx, f.list, func(ctx context.Context) error { return f.await(ctx, revision) })
}

// whenFollowed calls list while nobody follows yet, else followed.
func (c *Client) whenFollowed(ctx context.Context, list, followed func(context.Context) error) error {
	c.mu.Lock()
	if !c.running {
		defer c.mu.Unlock()
		return list(ctx)
	}
	c.mu.Unlock()
	return followed(ctx)
}

// Close ends the client; Run does it too.
func (c *Client) Close() {
	c.closeOnce.Do(func() {
		if err := c.etcd.Close(); err != nil && !errors.Is(err, context.Canceled) {
			c.log.Debug("closing etcd's client", "err", err)
		}
	})
}

// Views is everybody in the registry. It is a cluster.Relister.
func (c *Client) Views() cluster.Views { return &c.views }

// Directory is products, keys and secrets.
func (c *Client) Directory() *Directory { return c.directory }

// Age is the time since contact with etcd was last confirmed.
func (c *Client) Age() time.Duration {
	return time.Since(c.start) - time.Duration(c.contactAt.Load())
}

// contact notes a sign of life that showed a revision, 0 for none.
func (c *Client) contact(revision int64) {
	c.contactAt.Store(int64(time.Since(c.start)))
	for {
		old := c.newest.Load()
		if revision <= old || c.newest.CompareAndSwap(old, revision) {
			return
		}
	}
}
