// Package service is the shape that all seven services share, so that the
// wiring handles them alike.
package service

import (
	"context"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	"longlink/pkg/batch"
	"longlink/pkg/cluster"
	"longlink/pkg/lifecycle"
	"longlink/pkg/rpc"
	"longlink/pkg/trace"
)

// Deps is what the wiring hands to every service.
type Deps struct {
	Log       *slog.Logger
	Registry  prometheus.Registerer
	Life      *lifecycle.Metrics
	Batches   *batch.Metrics
	Peers     *rpc.Peers        // the other instances, and who this one is
	Directory cluster.Directory // products, keys, secrets
	Trace     *trace.Ring       // what happened to messages here; nil remembers nothing
	Version   string
}

// Service is one of the seven. The wiring calls New, Listen, Register, Run in
// this order and announces the instance to the cluster once Run is ready.
type Service interface {
	lifecycle.Runner
	// Listen claims the addresses for outsiders; its error names the address
	// and the config key. Services without any return nil.
	Listen() error
	// Addresses are those that Listen claimed.
	Addresses() []string
	// Register adds the service's RPC methods.
	Register(grpc.ServiceRegistrar)
	// Check is nil when the service can do its work; the error says what is
	// missing. It is asked by /readyz, must be quick and never by /livez.
	Check(ctx context.Context) error
	// Figures are the load figures that keeper shows, such as connections.
	Figures() map[string]float64
}
