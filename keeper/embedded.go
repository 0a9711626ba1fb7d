package keeper

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
)

// EmbeddedOptions of an embedded member.
type EmbeddedOptions struct {
	Dir    string // data directory, made when missing; one process at a time
	Client string // host:port for clients of other processes; port 0 takes a free one
	Peer   string // host:port for other members; port 0 takes a free one
	Log    *slog.Logger
	// Timeout for the start, default 20 s.
	Timeout time.Duration
}

// Embedded is an etcd cluster of one member in this process.
type Embedded struct {
	etcd    *embed.Etcd
	lock    *os.File
	once    sync.Once
	serving atomic.Bool // for the log
}

// Ticks of the member. etcd's defaults (100 ms and 1 s) are for members that
// elect a leader over a network; a single one elects itself, so these only set
// how long its start takes. They also set the least lease: 1.5 elections,
// rounded up to 1 s.
const (
	tickMS     = 10
	electionMS = 100
	// History kept for watches that fall behind; older ones list again.
	compactEvery = "10m"
	defaultStart = 20 * time.Second
)

// StartEmbedded starts the member and returns when it serves. The errors name
// the directory or the config key and say what to do.
func StartEmbedded(ctx context.Context, o EmbeddedOptions) (*Embedded, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Timeout <= 0 {
		o.Timeout = defaultStart
	}
	lock, err := lockDir(o.Dir)
	if err != nil {
		return nil, err
	}
	m := &Embedded{lock: lock}
	if err := m.start(ctx, o); err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

func (m *Embedded) start(ctx context.Context, o EmbeddedOptions) (err error) {
	cfg := embed.NewConfig()
	cfg.Name = "longlink"
	cfg.Dir = o.Dir
	cfg.TickMs, cfg.ElectionMs = tickMS, electionMS
	cfg.AutoCompactionMode, cfg.AutoCompactionRetention = embed.CompactorModePeriodic, compactEvery
	cfg.WarningApplyDuration = time.Second
	cfg.EnableGRPCGateway = false
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(newZap(o.Log, &m.serving))
	client, peer := url.URL{Scheme: "http", Host: o.Client}, url.URL{Scheme: "http", Host: o.Peer}
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)

	// etcd answers damage to its files with a panic.
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("etcd cannot use its data in %s: %v; restore the directory from a backup, or move it away to start empty", o.Dir, v)
		}
	}()
	if m.etcd, err = embed.StartEtcd(cfg); err != nil {
		return startError(o, err)
	}
	t := time.NewTimer(o.Timeout)
	defer t.Stop()
	select {
	case <-m.etcd.Server.ReadyNotify():
		m.serving.Store(true)
		return nil
	case err := <-m.etcd.Err():
		return startError(o, err)
	case <-t.C:
		return fmt.Errorf("the embedded etcd in %s is not ready after %v: the disk may be too slow or full", o.Dir, o.Timeout)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func startError(o EmbeddedOptions, err error) error {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "listen" && op.Addr != nil {
		key, addr := "keeper.listen", o.Client
		if op.Addr.String() == o.Peer {
			key, addr = "keeper.peer_listen", o.Peer
		}
		if errors.Is(err, syscall.EADDRINUSE) {
			return fmt.Errorf("%s: %s is taken by another process: stop that one or choose another address (--port-base)", key, addr)
		}
		return fmt.Errorf("%s: cannot listen on %s: %w", key, addr, op.Err)
	}
	return fmt.Errorf("the embedded etcd in %s does not start: %w", o.Dir, err)
}

// lockDir makes the directory, proves that it can be written and holds a lock
// that ends with the process: two members on one directory would wait for each
// other without a word.
func lockDir(dir string) (*os.File, error) {
	advice := "choose another with --data DIR"
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("data directory %s cannot be made: %w; %s", dir, bare(err), advice)
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("data directory %s cannot be written: %w; %s", dir, bare(err), advice)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("data directory %s is used by another process: stop that one or %s", dir, advice)
		}
		return nil, fmt.Errorf("data directory %s cannot be locked: %w; %s", dir, err, advice)
	}
	return f, nil
}

func bare(err error) error {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// Addr is where clients of other processes connect, host:port.
func (m *Embedded) Addr() string { return m.etcd.Clients[0].Addr().String() }

// Run watches over the member until ctx ends, then closes it. It fails when
// the member ends by itself.
func (m *Embedded) Run(ctx context.Context, ready func()) error {
	defer m.Close()
	ready()
	select {
	case <-ctx.Done():
		return nil
	case err := <-m.etcd.Err():
		return fmt.Errorf("the embedded etcd failed: %w", err)
	case <-m.etcd.Server.StopNotify():
		return errors.New("the embedded etcd stopped by itself; its log lines before this one say why")
	}
}

// Close ends the member; with other processes connected it takes about a
// second. It may be called more than once.
func (m *Embedded) Close() {
	m.once.Do(func() {
		m.serving.Store(false)
		if m.etcd != nil {
			m.etcd.Close()
		}
		m.lock.Close()
	})
}
