package center

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"google.golang.org/grpc"

	"longlink/pkg/cluster"
	"longlink/pkg/code"
	"longlink/pkg/httpstop"
	"longlink/pkg/lifecycle"
	"longlink/pkg/rpc"
	"longlink/pkg/service"
)

// Center is the service. It implements service.Service.
type Center struct {
	server   *server
	listener net.Listener
}

var _ service.Service = (*Center)(nil)

// New makes a center that does nothing yet. products is keeper's client.
func New(cfg Config, deps service.Deps, products Products) *Center {
	s := &server{cfg: cfg, deps: deps, log: deps.Log, products: products,
		budget: newBudget(cfg)}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.followers = newFollowers(cfg.Events)
	s.metrics = newMetrics(deps.Registry, s.budget, s.followers)
	timeout := cfg.CallTimeout.Std()
	s.appends = rpc.NewCaller(deps.Peers, rpc.Append, rpc.CallerConfig{Target: "saver.append", Kind: cluster.Saver, AnyServes: true, Timeout: cfg.AppendTimeout.Std(), Lost: code.Unknown})
	s.locates = rpc.NewCaller(deps.Peers, rpc.Locate, rpc.CallerConfig{Target: "register.locate", Kind: cluster.Register, Timeout: timeout})
	s.delivers = rpc.NewCaller(deps.Peers, rpc.Deliver, rpc.CallerConfig{Target: "room.deliver", Kind: cluster.Room, Timeout: timeout})
	s.updates = rpc.NewCaller(deps.Peers, rpc.UpdateSessions, rpc.CallerConfig{Target: "register.forget", Kind: cluster.Register, Timeout: timeout})
	return &Center{server: s}
}

// Listen implements service.Service.
func (c *Center) Listen() error {
	l, err := net.Listen("tcp", c.server.cfg.Listen)
	if err != nil {
		return fmt.Errorf("center.listen: cannot listen on %s: %w; stop what holds it or choose another address", c.server.cfg.Listen, err)
	}
	c.listener = l
	return nil
}

// Addresses implements service.Service.
func (c *Center) Addresses() []string {
	if c.listener == nil {
		return nil
	}
	return []string{c.listener.Addr().String()}
}

// Register implements service.Service: the API has a door of its own, other
// services call center for nothing yet.
func (c *Center) Register(grpc.ServiceRegistrar) {}

// Run serves until ctx ends; then requests and deliveries that have begun may
// end within stop_grace, and followers of events end at once.
func (c *Center) Run(ctx context.Context, ready func()) error {
	if c.listener == nil {
		return errors.New("center: Run before Listen")
	}
	s := c.server
	// What outlives an answer does not end with ctx but after the grace.
	s.group = lifecycle.NewGroup(context.WithoutCancel(ctx), s.log, s.deps.Life)
	d := newDoor(s)
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true) // gRPC
	h := &http.Server{
		Handler:           d,
		Protocols:         &protocols,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: maxStreams},
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      maxWait + 30*time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	server := httpstop.New(h)
	g := lifecycle.NewGroup(ctx, s.log, s.deps.Life)
	g.Go("center.http", func(context.Context) error {
		if err := h.Serve(c.listener); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	g.Go("center.failures", d.failures.run)
	g.Go("center.stop", func(ctx context.Context) error {
		<-ctx.Done()
		s.followers.close()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.StopGrace.Std())
		defer cancel()
		stop := context.AfterFunc(grace, s.group.Cancel)
		defer stop()
		err := server.Stop(grace)
		d.drain() // nothing may join the group any more
		return errors.Join(err, s.group.Wait())
	})
	ready()
	err := g.Wait()
	d.failures.close(time.Now())
	return err
}

// Check implements service.Service: pushes need a saver and a register.
func (c *Center) Check(context.Context) error {
	v := c.server.deps.Peers.Views().View()
	for _, k := range []cluster.Kind{cluster.Saver, cluster.Register} {
		if len(v.Kind(k)) == 0 {
			return fmt.Errorf("no %s in the cluster", k)
		}
	}
	return nil
}

// Figures implements service.Service.
func (c *Center) Figures() map[string]float64 {
	n, _ := c.server.budget.used()
	return map[string]float64{"push_in_flight": float64(n)}
}
