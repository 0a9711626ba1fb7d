package app

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	"longlink/pkg/api"
	"longlink/pkg/cluster"
	"longlink/pkg/lifecycle"
	"longlink/pkg/rpc"
	"longlink/pkg/service"
	"longlink/pkg/trace"
	"longlink/pkg/version"
)

// instance is one service in this process, from its start to its withdrawal
// from the registry.
type instance struct {
	*process
	kind cluster.Kind
	self cluster.Instance // complete once Run is ready
	srv  service.Service
}

// inprocPrefix begins the RPC addresses of the embedded gateway.
const inprocPrefix = "inproc/"

// id is stable over restarts, because slots are given to it: the configured
// one, else kind-host-port. With port base 0 nothing is stable.
func (i *instance) id() string {
	if i.Config.Cluster.ID != "" && len(i.Kinds) == 1 {
		return i.Config.Cluster.ID
	}
	host, port, _ := net.SplitHostPort(advertised(i.rpcAddr(), i.Config.Cluster.Advertise))
	if port == "0" {
		port = "p" + strconv.Itoa(os.Getpid())
	}
	// Ids are of the alphabet of all names, which has no colon.
	return string(i.kind) + "-" + strings.ReplaceAll(host, ":", ".") + "-" + port
}

func (i *instance) rpcAddr() string {
	p := i.Ports
	p.Host = i.Config.RPC.Host
	return p.RPC(i.kind)
}

// Run starts the service in an order that lets nobody call what does not serve
// yet: outside addresses, way to the others, service, RPC, registry. It stops
// in reverse: out of the registry first, the way to the others last.
func (i *instance) Run(ctx context.Context, ready func()) error {
	id := i.id()
	epoch, err := i.keeper.Epoch(ctx, i.kind, id)
	if err != nil {
		return err
	}
	log := i.log.With("service", string(i.kind), "instance", id)
	peers := rpc.NewPeers(i.net, i.keeper.Views(), rpc.Identity{ID: id, Epoch: epoch}, log, i.batches, i.life)
	steps := trace.New(i.Config.Cluster.TraceEvents)
	i.srv, err = i.build(i.kind, service.Deps{
		Log: log, Trace: steps, Life: i.life, Batches: i.batches, Peers: peers, Directory: i.keeper.Directory(), Version: version.String(),
		Registry: prometheus.WrapRegistererWith(prometheus.Labels{}, i.reg),
	})
	if err != nil {
		return err
	}
	if err := i.srv.Listen(); err != nil {
		return err
	}
	rpcAddr := i.rpcAddr()
	if i.Embedded {
		rpcAddr = inprocPrefix + string(i.kind) + "/" + id
	}
	door, err := i.net.Listen(rpcAddr, func(r grpc.ServiceRegistrar) {
		i.srv.Register(r)
		api.RegisterTraceServer(r, &trace.Server{Ring: steps, Node: id})
	})
	if err != nil {
		return fmt.Errorf("rpc: cannot listen on %s: %w; stop what holds it or choose another --port-base", rpcAddr, err)
	}
	i.self = cluster.Instance{
		Kind: i.kind, ID: id, Epoch: epoch, State: cluster.Ready, Version: version.String(),
		RPC: door.Addr(), Ops: advertised(i.ops.Addr(), i.Config.Cluster.Advertise),
		IDC: i.Config.Cluster.IDC, StartedMS: time.Now().UnixMilli(),
	}
	if !i.Embedded {
		i.self.RPC = advertised(door.Addr(), i.Config.Cluster.Advertise)
	}
	for _, a := range i.srv.Addresses() {
		i.self.Addresses = append(i.self.Addresses, advertised(a, i.Config.Cluster.Advertise))
	}
	if c, ok := i.srv.Figures()["capacity"]; ok {
		i.self.Capacity = int(c)
	}
	return lifecycle.RunAll(ctx, log, func() {
		i.ops.AddCheck(string(i.kind), i.srv.Check)
		ready()
	},
		lifecycle.Part{Name: "peers", Runner: peers},
		lifecycle.Part{Name: "service", Runner: i.srv},
		lifecycle.Part{Name: "rpc", Runner: lifecycle.RunnerFunc(func(ctx context.Context, ready func()) error {
			ready()
			return door.Serve(ctx)
		})},
		lifecycle.Part{Name: "registry", Runner: i.keeper.Announce(i.self)},
		lifecycle.Part{Name: "reports", Runner: lifecycle.RunnerFunc(func(ctx context.Context, ready func()) error {
			ready()
			return i.report(ctx, peers)
		})},
	)
}

// report tells a keeper the load figures; a report that fails is not repeated,
// the next one is newer.
func (i *instance) report(ctx context.Context, peers *rpc.Peers) error {
	t := time.NewTicker(i.Config.RPC.Reports.Std())
	defer t.Stop()
	for {
		for _, k := range peers.Views().View().Kind(cluster.Keeper) {
			cc, err := peers.Conn(k.RPC)
			if err != nil {
				break
			}
			rctx, cancel := context.WithTimeout(ctx, time.Second)
			_, err = api.NewKeeperClient(cc).Report(rctx, &api.ReportRequest{Kind: string(i.kind), Id: i.self.ID, Epoch: i.self.Epoch, Figures: i.srv.Figures()})
			cancel()
			if err != nil && ctx.Err() == nil {
				i.log.Debug("load report not taken", "keeper", k.ID, "err", err)
			}
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return nil
		}
	}
}
