package coordinator

import (
	"context"
	"fmt"
	"log/slog"

	"google.golang.org/grpc"

	"longlink/pkg/api"
	"longlink/pkg/cluster"
	"longlink/pkg/service"
)

// Coordinator is the service. It implements service.Service and
// api.CoordinatorServer.
type Coordinator struct {
	api.UnimplementedCoordinatorServer // Up and Changes are not served yet
	cfg                                Config
	deps                               service.Deps
	log                                *slog.Logger
	metrics                            *metrics
}

var (
	_ service.Service       = (*Coordinator)(nil)
	_ api.CoordinatorServer = (*Coordinator)(nil)
)

// New makes a coordinator.
func New(cfg Config, deps service.Deps) *Coordinator {
	c := &Coordinator{cfg: cfg, deps: deps, log: deps.Log, metrics: newMetrics(deps.Registry)}
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

// Check implements service.Service: there must be a register to pass kicks to.
func (c *Coordinator) Check(context.Context) error {
	if len(c.deps.Peers.Views().View().Kind(cluster.Register)) == 0 {
		return fmt.Errorf("no register in the cluster")
	}
	return nil
}

// Figures implements service.Service.
func (c *Coordinator) Figures() map[string]float64 { return nil }
