package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"longlink/pkg/cluster"
	"longlink/scripts/clusterctl/local"
)

// open finds the cluster that runs in a directory.
func open(dir string) (*local.Cluster, *local.StoresRun, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, nil, err
	}
	nodes, err := local.Open(abs)
	if err != nil {
		return nil, nil, err
	}
	stores, _ := local.StoresOf(abs)
	return nodes, stores, nil
}

type statusCmd struct{ where }

// Help is the example below the flags.
func (statusCmd) Help() string { return "Example:\n  scripts/cluster status" }

// Run prints a line for each process.
func (c *statusCmd) Run(ctx context.Context) error {
	nodes, stores, err := open(c.Dir)
	if err != nil {
		return err
	}
	unready, err := local.Print(os.Stdout, local.Status(ctx, nodes, stores))
	if err == nil && stores == nil {
		err = errors.New("the stores do not run: end the rest with scripts/cluster down")
	}
	if err == nil && unready > 0 {
		err = fmt.Errorf("not everything is ready: %d of the processes are not", unready)
	}
	return err
}

// one names one process.
type one struct {
	where
	Kind string `arg:"" help:"A service, or etcd, redis, mariadb."`
	N    int    `arg:"" optional:"" default:"1" help:"Which of them (1)."`
}

// Validate refuses a kind that does not exist; the parser calls it.
func (o one) Validate() error {
	if !o.store() && !slices.Contains(cluster.Kinds, cluster.Kind(o.Kind)) {
		return fmt.Errorf("no process %q: there are %s, etcd, redis, mariadb", o.Kind, local.KindNames())
	}
	return nil
}

// store says whether the kind is a store.
func (o one) store() bool { return o.Kind == "etcd" || o.Kind == "redis" || o.Kind == "mariadb" }

type killCmd struct {
	one
	Hard bool `short:"9" help:"SIGKILL, instead of SIGTERM and SIGKILL after 15 s."`
}

// Help is the example below the flags.
func (killCmd) Help() string {
	return `Example:
  scripts/cluster kill room 2
  scripts/cluster kill saver 1 -9`
}

// Run ends the process and returns when it is gone.
func (c *killCmd) Run(context.Context) error {
	unlock, err := local.Lock(c.Dir)
	if err != nil {
		return err
	}
	defer unlock()
	nodes, stores, err := open(c.Dir)
	switch {
	case err != nil:
		return err
	case c.store():
		return killStore(stores, c.Kind, c.Hard)
	case c.Hard:
		return nodes.Kill(c.Kind, c.N)
	}
	return nodes.Stop(c.Kind, c.N)
}

func killStore(stores *local.StoresRun, kind string, hard bool) error {
	if stores == nil {
		return errors.New("the stores do not run")
	}
	p, ok := stores.Get(kind)
	switch {
	case !ok || !p.Alive():
		return fmt.Errorf("%s does not run", kind)
	case hard:
		return p.Kill()
	}
	return p.Stop()
}

type startCmd struct {
	one
	Timeout time.Duration `help:"How long to wait until it is ready." default:"60s" placeholder:"D"`
}

// Help is the example below the flags.
func (startCmd) Help() string {
	return `Example:
  scripts/cluster start saver 1
  scripts/cluster start register 3

A number that was not there before adds an instance.`
}

// Run starts the process and returns when it is ready.
func (c *startCmd) Run(ctx context.Context) error {
	unlock, err := local.Lock(c.Dir)
	if err != nil {
		return err
	}
	defer unlock()
	nodes, stores, err := open(c.Dir)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	if c.store() {
		if stores == nil {
			return errors.New("the host of the stores does not run: down, then up")
		}
		dir, err := filepath.Abs(c.Dir)
		if err != nil {
			return err
		}
		return stores.Start(ctx, dir, c.Kind)
	}
	return nodes.Start(ctx, c.Kind, c.N)
}

type storesCmd struct{ where }

// Run runs the stores until SIGTERM.
func (c *storesCmd) Run(ctx context.Context) error { return local.HostStores(ctx, c.Dir) }
