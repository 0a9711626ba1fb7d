package cli

import (
	"context"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"

	"longlink/pkg/app"
	"longlink/pkg/cluster"
	"longlink/pkg/config"
	"longlink/pkg/datadir"
)

type serveCmd struct {
	Services  []string `arg:"" optional:"" name:"service" complete:"keeper,saver,register,coordinator,center,room,dispatcher" help:"Services to run on the etcd, Redis and MySQL of the config; none: all seven, embedded."`
	Config    string   `short:"c" help:"Config file." placeholder:"FILE"`
	Data      string   `help:"Directory of the embedded stores." default:"data" placeholder:"DIR"`
	Host      string   `help:"Host to listen on." default:"127.0.0.1" placeholder:"H"`
	Advertise string   `help:"Host that devices and other processes reach this one by." placeholder:"IP"`
	PortBase  int      `help:"Ports are derived from this: rooms N+1 and N+2, dispatcher N+100, center N+200, operations N+900; 0: free ports." default:"7000" placeholder:"N"`
}

// Help is the example below the flags.
func (serveCmd) Help() string {
	return `Example:
  longlink serve
  longlink serve --host 0.0.0.0 --advertise 192.0.2.10
  longlink serve room -c longlink.yaml

SIGTERM and SIGINT drain and end with exit code 0; a second one ends at once.`
}

// Run serves until a signal.
func (c *serveCmd) Run(ctx context.Context, s streams) error {
	kinds, embedded, err := c.kinds()
	if err != nil {
		return err
	}
	ports := app.Ports{Host: c.Host, Base: c.PortBase}
	if err := ports.Validate(); err != nil {
		return errUsage{err}
	}
	cfg := app.DefaultConfig(ports)
	cfg.Cluster.Ops = ports.Ops(kinds)
	flags := map[string]string{}
	if c.Advertise != "" {
		flags["cluster.advertise"] = c.Advertise
	}
	if _, err := config.Load(&cfg, config.Options{File: c.Config, Env: os.Environ(), Flags: flags}); err != nil {
		return err
	}
	if ip := net.ParseIP(c.Host); ip != nil && ip.IsUnspecified() && cfg.Cluster.Advertise == "" {
		return usagef("--host %s listens everywhere but names no address to reach: add --advertise IP", c.Host)
	}
	return app.Run(ctx, app.Options{Config: cfg, Kinds: kinds, Ports: ports, Embedded: embedded, Data: datadir.Dir(c.Data), Out: s.out, Err: s.err})
}

// kinds reads the service names; none means all, embedded.
func (c *serveCmd) kinds() (kinds []cluster.Kind, embedded bool, err error) {
	for _, name := range c.Services {
		k := cluster.Kind(name)
		if !slices.Contains(cluster.Kinds, k) {
			var all []string
			for _, k := range cluster.Kinds {
				all = append(all, string(k))
			}
			return nil, false, usagef("no service %s: there are %s", strconv.Quote(name), strings.Join(all, ", "))
		}
		if slices.Contains(kinds, k) {
			return nil, false, usagef("service %s is named twice", name)
		}
		kinds = append(kinds, k)
	}
	if len(kinds) == 0 {
		return cluster.Kinds, true, nil
	}
	return kinds, false, nil
}
