package app

import (
	"time"

	"longlink/center"
	"longlink/coordinator"
	"longlink/dispatcher"
	"longlink/keeper"
	"longlink/pkg/config"
	"longlink/register"
	"longlink/room"
	"longlink/saver"
)

// Config is the whole configuration: one section per service and three for all.
type Config struct {
	Cluster     ClusterConfig      `yaml:"cluster" doc:"What the process is in the cluster."`
	Log         LogConfig          `yaml:"log" doc:"Log lines on standard error."`
	RPC         RPCConfig          `yaml:"rpc" doc:"Calls between the services."`
	Keeper      keeper.Config      `yaml:"keeper" doc:"Configuration and discovery on etcd."`
	Saver       saver.Config       `yaml:"saver" doc:"Messages in Redis and the ledger."`
	Register    register.Config    `yaml:"register" doc:"The global session store."`
	Coordinator coordinator.Config `yaml:"coordinator" doc:"Kicks, upstream data, callbacks."`
	Center      center.Config      `yaml:"center" doc:"The API."`
	Room        room.Config        `yaml:"room" doc:"The device connections."`
	Dispatcher  dispatcher.Config  `yaml:"dispatcher" doc:"Where devices connect."`
}

// ClusterConfig is what the process is in the cluster.
type ClusterConfig struct {
	ID          string `yaml:"id" doc:"Stable instance id of a process that runs one service; empty: kind-host-port. It is what slots are given to, so keep it over restarts."`
	IDC         string `yaml:"idc" doc:"Data centre of this process, told to devices."`
	Advertise   string `yaml:"advertise" doc:"Host that devices and other processes reach this one by; empty: the listening host."`
	Ops         string `yaml:"ops" doc:"Address of /livez, /readyz and /metrics. In a process of one service the default port is 7900 + the service's digit."`
	Pprof       bool   `yaml:"pprof" doc:"Serve /debug/pprof at the operations address."`
	TraceEvents int    `yaml:"trace_events" min:"0" max:"1048576" doc:"Steps of messages that each instance remembers for longlink trace, about 250 bytes each; 0: none."`
	OperatorKey string `yaml:"operator_key" secret:"true" doc:"An operator's API key, 32 characters at least, added at start when not empty. The embedded gateway makes its own in DATA/operator.key."`
}

// LogConfig of the process's log.
type LogConfig struct {
	Level  string `yaml:"level" oneof:"debug info warn error" doc:"Least level that is written."`
	Format string `yaml:"format" oneof:"text json" doc:"Form of a line."`
}

// RPCConfig of the internal servers.
type RPCConfig struct {
	Host    string          `yaml:"host" doc:"Host that internal RPC listens on, at port base + 800 + the service's digit."`
	Reports config.Duration `yaml:"reports" min:"100ms" max:"1m" doc:"How often an instance reports its load figures to keeper."`
}

// DefaultConfig is what config.yaml shows: every address by a port base of
// 7000 on 127.0.0.1.
func DefaultConfig(p Ports) Config {
	c := Config{
		Cluster:     ClusterConfig{Ops: p.Ops(nil), TraceEvents: 16384},
		Log:         LogConfig{Level: "info", Format: "text"},
		RPC:         RPCConfig{Host: p.Host, Reports: config.Duration(2 * time.Second)},
		Keeper:      keeper.DefaultConfig(),
		Saver:       saver.DefaultConfig(),
		Register:    register.DefaultConfig(),
		Coordinator: coordinator.DefaultConfig(),
		Center:      center.DefaultConfig(),
		Room:        room.DefaultConfig(),
		Dispatcher:  dispatcher.DefaultConfig(),
	}
	c.Keeper.Listen, c.Keeper.PeerListen = p.EtcdClient(), p.EtcdPeer()
	c.Center.Listen = p.Center()
	c.Dispatcher.Listen = p.Dispatcher()
	c.Room.Listen = p.Room()
	return c
}
