package center

import (
	"context"
	"log/slog"
	"sync/atomic"

	"longlink/pkg/api"
	"longlink/pkg/cluster"
	"longlink/pkg/lifecycle"
	"longlink/pkg/rpc"
	"longlink/pkg/service"
)

// Products is what center asks of keeper's client: the changes. It reads
// products through cluster.Directory. Errors are *code.Error or UNAVAILABLE by
// nature; a key that is returned is never shown again.
type Products interface {
	CreateProduct(ctx context.Context, name string) (p *cluster.Product, key string, err error)
	// RotateKey makes a new key; now ends the old ones at once.
	RotateKey(ctx context.Context, name string, now bool) (p *cluster.Product, key string, err error)
	DeleteProduct(ctx context.Context, name string) error
}

// server is the API's methods. Whoever calls them has put the principal into
// the context.
type server struct {
	api.UnimplementedCenterServer
	cfg      Config
	deps     service.Deps
	log      *slog.Logger
	products Products
	metrics  *metrics
	budget   *budget

	followers *followers

	appends  *rpc.Caller[*api.AppendItem, *api.AppendResult]
	locates  *rpc.Caller[*api.LocateItem, *api.LocateResult]
	delivers *rpc.Caller[*api.DeliverItem, *api.DeliverResult]
	updates  *rpc.Caller[*api.SessionItem, *api.SessionResult]

	group *lifecycle.Group // runs what outlives an answer; set before calls come
}

var _ api.CenterServer = (*server)(nil)

// each calls fn for 0 to n-1, a few at once, and returns after the last.
func (s *server) each(ctx context.Context, name string, n, parallel int, fn func(ctx context.Context, i int)) {
	g := lifecycle.NewGroup(ctx, s.log, s.deps.Life)
	var next atomic.Int64
	for range min(n, parallel) {
		g.Task(name, func(ctx context.Context) error {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				fn(ctx, i)
			}
			return nil
		})
	}
	_ = g.Wait() // its tasks return no error
}
