package keeper

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"

	"longlink/pkg/api"
	"longlink/pkg/service"
)

// Service is the keeper service: what operators see of the cluster.
type Service struct {
	client *Client
	loads  *loads
	maxAge time.Duration
}

var _ service.Service = (*Service)(nil)

// New makes the service on this process's client.
func New(cfg Config, deps service.Deps, client *Client) (*Service, error) {
	return &Service{
		client: client,
		loads:  newLoads(deps.Registry),
		maxAge: max(10*time.Second, 3*cfg.ProbeInterval.Std()),
	}, nil
}

// Listen implements service.Service: there is nothing for outsiders.
func (s *Service) Listen() error { return nil }

// Addresses implements service.Service.
func (s *Service) Addresses() []string { return nil }

// Register implements service.Service.
func (s *Service) Register(r grpc.ServiceRegistrar) {
	api.RegisterKeeperServer(r, &server{views: s.client.Views(), loads: s.loads, now: time.Now})
}

// Run forgets the loads of instances that have left.
func (s *Service) Run(ctx context.Context, ready func()) error {
	ready()
	t := time.NewTicker(staleLoad)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
			s.loads.prune(s.client.Views().View(), time.Now())
		}
	}
}

// Check implements service.Service: etcd must have answered lately.
func (s *Service) Check(context.Context) error {
	if age := s.client.Age(); age > s.maxAge {
		return fmt.Errorf("no contact with etcd for %v", age.Round(time.Second))
	}
	return nil
}

// Figures implements service.Service.
func (s *Service) Figures() map[string]float64 {
	return map[string]float64{"instances": float64(len(s.client.Views().View().All())), "loads": float64(s.loads.len())}
}
