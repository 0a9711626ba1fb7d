package coordinator

import (
	"context"
	"fmt"
	"log/slog"

	"google.golang.org/grpc"

	"longlink/pkg/api"
	"longlink/pkg/cluster"
	"longlink/pkg/rpc"
	"longlink/pkg/service"
)

// Coordinator is the service. It implements service.Service and
// api.CoordinatorServer.
type Coordinator struct {
	api.UnimplementedCoordinatorServer // Changes is not served yet
	cfg                                Config
	deps                               service.Deps
	log                                *slog.Logger
	metrics                            *metrics
	held                               *held
	upstream                           *rpc.Caller[*api.UpItem, *api.UpResult]
}

var (
	_ service.Service       = (*Coordinator)(nil)
	_ api.CoordinatorServer = (*Coordinator)(nil)
)

// New makes a coordinator.
func New(cfg Config, deps service.Deps) *Coordinator {
	c := &Coordinator{cfg: cfg, deps: deps, log: deps.Log, held: newHeld(int(cfg.UpstreamBytes))}
	c.metrics = newMetrics(deps.Registry, c.held)
	c.upstream = rpc.NewCaller(deps.Peers, rpc.Upstream, rpc.CallerConfig{Target: "saver.upstream", Kind: cluster.Saver, AnyServes: true, Timeout: cfg.CallTimeout.Std()})
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Listen implements service.Service: there is nothing for outsiders.
func (c *Coordinator) Listen() error { return nil }

// Addresses implements service.Service.
func (c *Coordinator) Addresses() []string { return nil }

// Register implements service.Service.
func (c *Coordinator) Register(s grpc.ServiceRegistrar) { api.RegisterCoordinatorServer(s, c) }

// Run waits for ctx: everything happens within calls.
func (c *Coordinator) Run(ctx context.Context, ready func()) error {
	ready()
	<-ctx.Done()
	return nil
}

// Check implements service.Service: there must be a register to pass kicks to
// and a saver to pass upstream data to.
func (c *Coordinator) Check(context.Context) error {
	view := c.deps.Peers.Views().View()
	for _, kind := range []cluster.Kind{cluster.Register, cluster.Saver} {
		if len(view.Kind(kind)) == 0 {
			return fmt.Errorf("no %s in the cluster", kind)
		}
	}
	return nil
}

// Figures implements service.Service.
func (c *Coordinator) Figures() map[string]float64 {
	return map[string]float64{"upstream_bytes": c.held.bytes()}
}
