package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"longlink/keeper"
	"longlink/pkg/batch"
	"longlink/pkg/cluster"
	"longlink/pkg/datadir"
	"longlink/pkg/lifecycle"
	"longlink/pkg/ops"
	"longlink/pkg/rpc"
	"longlink/pkg/version"
)

// Options of one process.
type Options struct {
	Config Config
	Kinds  []cluster.Kind // the services to run, at least one
	Ports  Ports
	// Embedded: all seven services on the stores of Data, in this process.
	Embedded bool
	Data     datadir.Dir
	Out, Err io.Writer // the ready line; log lines
}

// process is what the parts of one process share. Fields below the line are
// set by a part before it is ready and read by later parts only.
type process struct {
	Options
	log     *slog.Logger
	reg     *prometheus.Registry
	life    *lifecycle.Metrics
	batches *batch.Metrics
	ops     *ops.Server
	net     rpc.Network

	member *keeper.Embedded
	keeper *keeper.Client
	served []*instance
}

// Run starts the services, prints one ready line when all serve, and returns
// after everything has ended: nil after a plain stop, else the first failure
// with its part's name.
func Run(ctx context.Context, o Options) error {
	p := &process{Options: o, reg: prometheus.NewRegistry()}
	if err := o.Ports.Validate(); err != nil {
		return err
	}
	if err := o.check(); err != nil {
		return err
	}
	var err error
	if p.log, err = newLogger(o.Config.Log, o.Err); err != nil {
		return err
	}
	if o.Embedded || slices.Contains(o.Kinds, cluster.Keeper) && len(o.Config.Keeper.Endpoints) == 0 {
		if err := o.Data.Prepare(); err != nil {
			return err
		}
	}
	p.reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	p.life, p.batches = lifecycle.NewMetrics(p.reg), batch.NewMetrics(p.reg)
	p.ops = ops.New(o.Config.Cluster.Ops, o.Config.Cluster.Pprof, p.reg, p.log)
	if err := p.ops.Listen(); err != nil {
		return err
	}
	p.ops.AddCheck("started", notStarted)
	if o.Embedded {
		p.net = &rpc.InProcess{Log: p.log, Metrics: p.life}
	} else {
		p.net = &rpc.TCP{Log: p.log, Metrics: p.life}
	}
	parts := []lifecycle.Part{{Name: "ops", Runner: p.ops}}
	if slices.Contains(o.Kinds, cluster.Keeper) && len(o.Config.Keeper.Endpoints) == 0 {
		parts = append(parts, lifecycle.Part{Name: "etcd", Runner: lifecycle.RunnerFunc(p.runMember)})
	}
	parts = append(parts, lifecycle.Part{Name: "keeper client", Runner: lifecycle.RunnerFunc(p.runClient)})
	for _, k := range cluster.Kinds {
		if slices.Contains(o.Kinds, k) {
			i := &instance{process: p, kind: k}
			p.served = append(p.served, i)
			parts = append(parts, lifecycle.Part{Name: string(k), Runner: i})
		}
	}
	return lifecycle.RunAll(ctx, p.log, p.ready, parts...)
}

// check refuses what the distributed shape cannot mean: stores that no other
// process could reach.
func (o Options) check() error {
	if o.Embedded || !slices.Contains(o.Kinds, cluster.Saver) {
		return nil
	}
	if o.Config.Saver.Redis.Mode == "embedded" {
		return errors.New("saver.redis.mode: embedded is for the gateway in one process; set single and saver.redis.addr, or run serve without service names")
	}
	if o.Config.Saver.Ledger.Driver == "embedded" {
		return errors.New("saver.ledger.driver: embedded is for the gateway in one process; set mysql and saver.ledger.dsn, or run serve without service names")
	}
	return nil
}

func notStarted(context.Context) error { return errors.New("some part is still starting") }

// runMember is the embedded etcd.
func (p *process) runMember(ctx context.Context, ready func()) error {
	var err error
	p.member, err = keeper.StartEmbedded(ctx, keeper.EmbeddedOptions{
		Dir: p.Data.Etcd(), Client: p.Config.Keeper.Listen, Peer: p.Config.Keeper.PeerListen, Log: p.log,
	})
	if err != nil {
		return err
	}
	return p.member.Run(ctx, ready)
}

// ready leaves what local commands need and prints the ready line.
func (p *process) ready() {
	p.ops.AddCheck("started", func(context.Context) error { return nil })
	line := []string{"ready", "version=" + version.String()}
	e := datadir.Endpoints{PID: os.Getpid(), Ops: "http://" + p.ops.Addr()}
	for _, i := range p.served {
		switch i.kind {
		case cluster.Center:
			e.Center = "http://" + i.self.Addresses[0]
			line = append(line, "center="+e.Center)
		case cluster.Dispatcher:
			e.Dispatcher = "http://" + i.self.Addresses[0]
			line = append(line, "dispatcher="+e.Dispatcher)
		case cluster.Room:
			e.Rooms = i.self.Addresses
			line = append(line, "room="+strings.Join(e.Rooms, ","))
		}
		if !p.Embedded {
			line = append(line, string(i.kind)+"_id="+i.self.ID, string(i.kind)+"_rpc="+i.self.RPC)
		}
	}
	if p.member != nil {
		line = append(line, "etcd="+p.member.Addr())
	}
	line = append(line, "ops="+e.Ops)
	if p.Embedded {
		line = append(line, "data="+string(p.Data))
		if err := p.Data.WriteEndpoints(e); err != nil {
			p.log.Error("local client commands will not find this gateway", "err", err)
		}
	}
	fmt.Fprintln(p.Out, strings.Join(line, " "))
}
