package bench

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"time"

	"longlink/pkg/wire"
)

// Options of one run. Zero values are not defaults: the command has those.
type Options struct {
	// Child is the command that starts a child; the role is appended.
	Child []string
	// Center and APIKey of the gateway; the key must be an operator's.
	Center, APIKey string
	// ServerPIDs are processes to measure beside those found by themselves:
	// PID or NAME=PID.
	ServerPIDs []string
	Product    string
	// Floor runs the same load against a bare gnet server.
	Floor bool
	// Log is told in lines what is going on.
	Log io.Writer

	Connections int
	LoginRate   float64       // logins/s; 0: as fast as InFlight allows
	InFlight    int           // logins begun and not ended
	Workers     int           // processes at least; more where the limit on open files asks for it
	Heartbeat   time.Duration // that devices wish for; 0: the room's choice
	Hold        time.Duration // how long the connections stay idle, which measures idling

	// Of Unicast alone.
	Rate        float64       // messages/s; 0: as fast as Concurrency allows
	Concurrency int           // API calls at once
	Messages    int           // 0: what Duration allows
	Duration    time.Duration // of the load
	Payload     int           // bytes
}

// Bounds of a run.
const (
	maxConnections = 1_000_000
	maxInFlight    = 100_000
	maxConcurrency = 4096
	maxWorkers     = 128
	maxPayload     = 64 << 10
	maxTime        = time.Hour
	minHold        = time.Second
)

// Check refuses what is out of bounds, naming the flag of the command.
func (o *Options) Check(unicast bool) error {
	within := func(flag string, v, low, high float64) error {
		if v < low || v > high {
			return fmt.Errorf("--%s must be between %g and %g, not %g", flag, low, high, v)
		}
		return nil
	}
	loginRate := "rate"
	if unicast {
		loginRate = "login-rate"
	}
	checks := []error{
		within("connections", float64(o.Connections), 1, maxConnections),
		within(loginRate, o.LoginRate, 0, 1e6),
		within("in-flight", float64(o.InFlight), 1, maxInFlight),
		within("workers", float64(o.Workers), 0, maxWorkers),
		within("heartbeat seconds", o.Heartbeat.Seconds(), 0, 3600),
		within("hold seconds", o.Hold.Seconds(), 0, maxTime.Seconds()),
	}
	if unicast {
		checks = append(checks,
			within("rate", o.Rate, 0, 1e6),
			within("concurrency", float64(o.Concurrency), 1, maxConcurrency),
			within("messages", float64(o.Messages), 0, MaxMessages),
			within("duration seconds", o.Duration.Seconds(), 0.1, maxTime.Seconds()),
			within("payload", float64(o.Payload), StampSize, maxPayload))
	}
	for _, err := range checks {
		if err != nil {
			return err
		}
	}
	if !wire.ValidName(o.Product) {
		return fmt.Errorf("--product must be 1 to 64 characters A-Z a-z 0-9 . _ ~ -")
	}
	if o.LoginRate > 0 && float64(o.Connections)/o.LoginRate > maxTime.Seconds() {
		return fmt.Errorf("%d connections at %g a second take more than %s; raise --%s", o.Connections, o.LoginRate, maxTime, loginRate)
	}
	u, err := url.Parse(o.Center)
	if err != nil || u.Host == "" {
		return fmt.Errorf("center address %q is not a URL such as http://127.0.0.1:7200", o.Center)
	}
	if u.Port() == "" {
		return fmt.Errorf("center address %s has no port", o.Center)
	}
	_, err = loopback("center", u.Host)
	return err
}

// loopback reads host:port and refuses what is not on this machine.
func loopback(what, hostport string) (netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("%s: %w", what, err)
	}
	if host == "localhost" {
		host = "127.0.0.1"
	}
	a, err := netip.ParseAddrPort(net.JoinHostPort(host, port))
	if err != nil || !a.Addr().IsLoopback() {
		return netip.AddrPort{}, fmt.Errorf("%s is at %s, which is not a loopback address: bench loads only gateways on this machine; run it there, on a gateway that listens on 127.0.0.1", what, hostport)
	}
	return a, nil
}
