package app

import (
	"fmt"
	"net"
	"strconv"

	"longlink/pkg/cluster"
)

// Digits of a service's own operations (N+900) and RPC (N+800) port.
var portDigit = map[cluster.Kind]int{
	cluster.Keeper: 1, cluster.Saver: 2, cluster.Register: 3, cluster.Coordinator: 4,
	cluster.Center: 5, cluster.Room: 6, cluster.Dispatcher: 7,
}

// Ports are the addresses that a port base N stands for; base 0 means free
// ports everywhere. Host is where outsiders come in; what has no authentication
// of its own (etcd, operations) stays on loopback unless the config says
// otherwise.
type Ports struct {
	Host string
	Base int
}

const loopback = "127.0.0.1"

// At is host:N+offset.
func (p Ports) At(offset int) string { return p.on(p.Host, offset) }

func (p Ports) on(host string, offset int) string {
	if p.Base == 0 {
		return net.JoinHostPort(host, "0")
	}
	return net.JoinHostPort(host, strconv.Itoa(p.Base+offset))
}

// Room lists a room's TCP addresses.
func (p Ports) Room() []string { return []string{p.At(1), p.At(2)} }

// Dispatcher is the HTTP address.
func (p Ports) Dispatcher() string { return p.At(100) }

// Center is the HTTP and gRPC address.
func (p Ports) Center() string { return p.At(200) }

// EtcdClient and EtcdPeer belong to the embedded member.
func (p Ports) EtcdClient() string { return p.on(loopback, 790) }

// EtcdPeer is the member's address for other members.
func (p Ports) EtcdPeer() string { return p.on(loopback, 791) }

// RPC is the internal address of a service.
func (p Ports) RPC(k cluster.Kind) string { return p.At(800 + portDigit[k]) }

// Ops is the operations address: N+900 of a process with several services,
// N+900+digit of a service's own process.
func (p Ports) Ops(kinds []cluster.Kind) string {
	if len(kinds) == 1 {
		return p.on(loopback, 900+portDigit[kinds[0]])
	}
	return p.on(loopback, 900)
}

// Validate checks that every derived port exists.
func (p Ports) Validate() error {
	if p.Base < 0 || p.Base > 65535-999 {
		return fmt.Errorf("--port-base must be between 0 and %d, not %d", 65535-999, p.Base)
	}
	return nil
}

// advertised replaces the host of a listening address by the one that others
// can reach.
func advertised(listen, host string) string {
	if host == "" {
		return listen
	}
	_, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen
	}
	return net.JoinHostPort(host, port)
}
