package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"syscall"
	"time"

	"google.golang.org/grpc"

	"longlink/pkg/cluster"
	"longlink/pkg/httpstop"
	"longlink/pkg/lifecycle"
	"longlink/pkg/rpc"
	"longlink/pkg/service"
)

// Times of the HTTP server. A request and its answer are a few hundred bytes.
const (
	readTimeout   = 5 * time.Second
	writeTimeout  = 5 * time.Second
	idleTimeout   = 30 * time.Second
	maxHeader     = 16 << 10
	shutdownGrace = time.Second
)

// Service is the dispatcher.
type Service struct {
	cfg     Config
	log     *slog.Logger
	life    *lifecycle.Metrics
	views   cluster.Views
	peers   *rpc.Peers
	metrics *metrics
	trusted prefixes
	rates   *rates
	poller  *poller
	lis     net.Listener

	fleet atomic.Pointer[fleet]
}

var _ service.Service = (*Service)(nil)

// New makes a dispatcher.
func New(cfg Config, deps service.Deps) (*Service, error) {
	trusted, err := parsePrefixes(cfg.TrustedProxies)
	if err != nil {
		return nil, fmt.Errorf("dispatcher.trusted_proxies: %w", err)
	}
	exempt, err := parsePrefixes(cfg.Rate.Exempt)
	if err != nil {
		return nil, fmt.Errorf("dispatcher.rate.exempt: %w", err)
	}
	s := &Service{cfg: cfg, log: deps.Log, life: deps.Life, views: deps.Peers.Views(), peers: deps.Peers,
		metrics: newMetrics(deps.Registry), trusted: trusted}
	s.rates = newRates(cfg.Rate, exempt, s.metrics)
	s.poller = &poller{s: s, now: time.Now}
	return s, nil
}

// Listen implements service.Service.
func (s *Service) Listen() error {
	lis, err := net.Listen("tcp", s.cfg.Listen)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("dispatcher.listen: %s is taken by another process: stop that one or choose another address (--port-base)", s.cfg.Listen)
	}
	if err != nil {
		return fmt.Errorf("dispatcher.listen: cannot listen on %q: %w", s.cfg.Listen, err)
	}
	s.lis = lis
	return nil
}

// Addresses implements service.Service.
func (s *Service) Addresses() []string { return []string{s.lis.Addr().String()} }

// Register implements service.Service: nobody calls a dispatcher by RPC.
func (s *Service) Register(grpc.ServiceRegistrar) {}

// Run serves until ctx ends; requests that are under way then get a second.
func (s *Service) Run(ctx context.Context, ready func()) error {
	srv := &http.Server{
		Handler:      s.handler(),
		ReadTimeout:  readTimeout,
		WriteTimeout: writeTimeout,
		IdleTimeout:  idleTimeout, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	stopper := httpstop.New(srv)
	g := lifecycle.NewGroup(ctx, s.log, s.life)
	g.Go("dispatcher http", func(context.Context) error {
		err := srv.Serve(&limited{Listener: s.lis, max: int64(s.cfg.MaxConnections), m: s.metrics})
		if errors.Is(err, http.ErrServerClosed) {
			return nil
		}
		return err
	})
	if s.cfg.Full.Interval > 0 {
		g.Go("dispatcher loads", s.poller.run)
	}
	g.Go("dispatcher stop", func(ctx context.Context) error {
		<-ctx.Done()
		sctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
		defer cancel()
		return stopper.Stop(sctx)
	})
	ready()
	return g.Wait()
}

// Check implements service.Service.
func (s *Service) Check(context.Context) error {
	if len(s.current().rooms) == 0 {
		return errors.New("no room is ready")
	}
	return nil
}

// Figures implements service.Service.
func (s *Service) Figures() map[string]float64 {
	return map[string]float64{"rooms": float64(len(s.current().rooms))}
}

// current is the fleet of the current view and figures.
func (s *Service) current() *fleet {
	v, l := s.views.View(), s.poller.loads.Load()
	f := s.fleet.Load()
	if f == nil || f.view != v || f.loads != l {
		f = newFleet(v, l)
		s.fleet.Store(f)
		for state, n := range f.states {
			s.metrics.rooms.WithLabelValues(state).Set(float64(n))
		}
	}
	return f
}
