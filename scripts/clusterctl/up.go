package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"longlink/pkg/client"
	"longlink/pkg/cluster"
	"longlink/pkg/code"
	"longlink/scripts/clusterctl/local"
)

type upCmd struct {
	where
	Count    int           `help:"How many of each service." default:"2" placeholder:"N"`
	PortBase int           `help:"Ports of the first of each are derived from this, as with longlink serve; the second adds 1000, and so on." default:"7000" placeholder:"N"`
	Binary   string        `help:"The longlink program; default: built from this source tree." placeholder:"FILE"`
	Timeout  time.Duration `help:"How long to wait until everything is ready." default:"2m" placeholder:"D"`
}

// Help is the example below the flags.
func (upCmd) Help() string {
	return `Example:
  scripts/cluster up
  scripts/cluster up --dir data/three --count 3 --port-base 17000

The processes outlive this command and its terminal. Data that an earlier
down --keep-data has left in DIR is used again.`
}

// Run starts everything, or nothing.
func (c *upCmd) Run(ctx context.Context) (err error) {
	if c.Count < 1 || c.Count > local.MaxCount {
		return usageError{fmt.Errorf("--count must be 1 to %d, not %d", local.MaxCount, c.Count)}
	}
	if err := local.CheckBase(c.PortBase, c.Count); err != nil {
		return usageError{err}
	}
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return fmt.Errorf("%w: choose another directory with --dir DIR", err)
	}
	unlock, err := local.Lock(c.Dir)
	if err != nil {
		return err
	}
	defer unlock()
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return err
	}
	if err := refuseRunning(c.Dir); err != nil {
		return err
	}
	if err := local.CheckPorts(c.PortBase, c.Count); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	binary, self, err := c.programs(ctx, dir)
	if err != nil {
		return err
	}
	stores, err := local.RunStores(ctx, dir, self, "stores", "--dir", dir)
	if err != nil {
		return err
	}
	var nodes *local.Cluster
	defer func() {
		if err == nil {
			return
		}
		if nodes != nil {
			err = errors.Join(err, nodes.KillAll())
		}
		err = errors.Join(err, stores.Stop(dir), local.Remove(dir, true))
	}()
	nodes, err = local.New(local.Config{Dir: dir, Binary: binary, Count: c.Count, Base: c.PortBase, Stores: stores.Stores(), Launch: local.Detached})
	if err != nil {
		return err
	}
	if err := nodes.StartAll(ctx); err != nil {
		return err
	}
	key, err := demo(ctx, nodes, dir)
	if err != nil {
		return err
	}
	if _, err := local.Print(os.Stdout, local.Status(ctx, nodes, stores)); err != nil {
		return err
	}
	fmt.Printf(`
operator's key: %s   key of product demo: %s
try:
  %s device --id phone-1 --data %s
  %s push --product demo --device phone-1 --text hello --wait 5s --data %s
`, filepath.Join(c.Dir, "operator.key"), key, binary, c.Dir, binary, c.Dir)
	return nil
}

func refuseRunning(dir string) error {
	if c, err := local.Open(dir); err == nil {
		for _, p := range c.Processes() {
			if p.Alive() {
				return fmt.Errorf("a cluster runs in %s already: see scripts/cluster status --dir %s, or end it with down", dir, dir)
			}
		}
	} else if !errors.Is(err, local.ErrNone) {
		return err
	}
	if _, ok := local.StoresOf(dir); ok {
		return fmt.Errorf("the stores of a cluster run in %s: end them with scripts/cluster down --dir %s", dir, dir)
	}
	return nil
}

// programs puts the two programs into DIR/bin: longlink, and this one for the
// host of the stores.
func (c *upCmd) programs(ctx context.Context, dir string) (binary, self string, err error) {
	bin := filepath.Join(dir, "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return "", "", err
	}
	executable, err := os.Executable()
	if err != nil {
		return "", "", err
	}
	b, err := os.ReadFile(executable)
	if err != nil {
		return "", "", err
	}
	self = filepath.Join(bin, "clusterctl")
	if err := os.WriteFile(self+".new", b, 0o755); err != nil {
		return "", "", err
	}
	if err := os.Rename(self+".new", self); err != nil {
		return "", "", err
	}
	if c.Binary != "" {
		if binary, err = filepath.Abs(c.Binary); err == nil {
			_, err = os.Stat(binary)
		}
		return binary, self, err
	}
	binary = filepath.Join(bin, "longlink")
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, ".")
	build.Dir = os.Getenv("LONGLINK_SOURCE")
	if out, err := build.CombinedOutput(); err != nil {
		return "", "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return binary, self, nil
}

// demo makes the product demo, unless kept data hold it, and returns the file
// with its key.
func demo(ctx context.Context, nodes *local.Cluster, dir string) (file string, err error) {
	file = filepath.Join(dir, "demo.key")
	key, err := nodes.OperatorKey()
	if err != nil {
		return "", err
	}
	api, err := client.New(client.Config{Center: nodes.Of(cluster.Center)[0].Addr, APIKey: key})
	if err != nil {
		return "", err
	}
	p, err := api.CreateProduct(ctx, "demo")
	if client.CodeOf(err) == code.AlreadyExists {
		return file, nil
	}
	if err != nil {
		return "", fmt.Errorf("create product demo: %w", err)
	}
	return file, os.WriteFile(file, []byte(p.APIKey+"\n"), 0o600)
}
