package register

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"google.golang.org/grpc"

	"longlink/pkg/api"
	"longlink/pkg/batch"
	"longlink/pkg/lifecycle"
	"longlink/pkg/rpc"
	"longlink/pkg/service"
)

// Register is the service. It implements service.Service and
// api.RegisterServer.
type Register struct {
	api.UnimplementedRegisterServer
	cfg     Config
	deps    service.Deps
	log     *slog.Logger
	self    rpc.Identity
	store   *store
	slots   *slots
	rooms   *rooms
	metrics *metrics
	evicts  *batch.Queue[eviction]
}

var (
	_ service.Service    = (*Register)(nil)
	_ api.RegisterServer = (*Register)(nil)
)

// New makes a register that does nothing yet.
func New(cfg Config, deps service.Deps) *Register {
	r := &Register{cfg: cfg, deps: deps, log: deps.Log, self: deps.Peers.Self(),
		store: &store{limit: int64(cfg.MaxSessions)}, rooms: newRooms()}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	r.slots = newSlots(r.self.ID, cfg.WarmDeadline.Std())
	r.metrics = newMetrics(deps.Registry, r.store, r.slots)
	r.evicts = batch.New(batch.Config{Target: "room.evict", Limit: cfg.EvictQueue}, deps.Batches, r.evict, r.dropEvictions)
	return r
}

// Listen implements service.Service: there is nothing for outsiders.
func (r *Register) Listen() error { return nil }

// Addresses implements service.Service.
func (r *Register) Addresses() []string { return nil }

// Register implements service.Service.
func (r *Register) Register(s grpc.ServiceRegistrar) { api.RegisterRegisterServer(s, r) }

// Run follows the view until ctx ends.
func (r *Register) Run(ctx context.Context, ready func()) error {
	g := lifecycle.NewGroup(ctx, r.log, r.deps.Life)
	views := r.deps.Peers.Views()
	v := views.View()
	r.take(v)
	r.evicts.Run(g.Context(), g)
	g.Go("register.view", func(ctx context.Context) error {
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-views.Changed(v):
			}
			v = views.View()
			r.take(v)
		}
	})
	g.Go("register.sweep", r.sweep)
	ready()
	return g.Wait()
}

// Check implements service.Service: no slot is warming.
func (r *Register) Check(context.Context) error {
	if _, warming, _ := r.slots.states(time.Now()); warming > 0 {
		return fmt.Errorf("%d slots wait for rooms to push their sessions", warming)
	}
	return nil
}

// Figures implements service.Service.
func (r *Register) Figures() map[string]float64 {
	ready, warming, late := r.slots.states(time.Now())
	return map[string]float64{"sessions": float64(r.store.count.Load()), "slots": float64(ready + warming + late), "slots_unready": float64(warming + late)}
}
