package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"longlink/pkg/cluster"
	"longlink/pkg/datadir"
	"longlink/pkg/testenv"
)

// Limits of a cluster on one machine.
const (
	MaxCount = 9    // instances of one kind
	Stride   = 1000 // from one instance's port base to the next
)

// Config of a new cluster.
type Config struct {
	Dir    string // made if missing
	Binary string // the longlink program
	Count  int    // instances of each kind, 1 to MaxCount
	Base   int    // port base of the first instances
	Stores Stores // must be running
	Launch Launch
}

// Cluster is the processes of one DIR. Start, Kill and Stop of different
// processes may be called from different goroutines.
type Cluster struct {
	dir    datadir.Dir
	launch Launch

	mu    sync.Mutex // guards what follows and the files
	state state
}

// New writes what the processes need (config, operator's key) and starts
// nothing.
func New(cfg Config) (*Cluster, error) {
	if cfg.Count < 1 || cfg.Count > MaxCount {
		return nil, fmt.Errorf("the count must be 1 to %d, not %d", MaxCount, cfg.Count)
	}
	if err := CheckBase(cfg.Base, cfg.Count); err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, err
	}
	c := &Cluster{dir: datadir.Dir(dir), launch: cfg.Launch, state: state{Binary: cfg.Binary, Base: cfg.Base, Stores: cfg.Stores}}
	if err := os.MkdirAll(c.path("logs"), 0o755); err != nil {
		return nil, err
	}
	if err := c.writeConfig(); err != nil {
		return nil, err
	}
	for _, kind := range cluster.Kinds {
		for n := range cfg.Count {
			c.state.Processes = append(c.state.Processes, c.process(string(kind), n+1))
		}
	}
	return c, c.save()
}

func (c *Cluster) path(name string) string { return filepath.Join(string(c.dir), name) }

// process describes instance n of a service.
func (c *Cluster) process(kind string, n int) *Process {
	p := &Process{Kind: kind, N: n, Base: c.state.Base + (n-1)*Stride}
	p.Log = c.path(filepath.Join("logs", p.Name()+".log"))
	switch ports := p.ports(); cluster.Kind(kind) {
	case cluster.Center:
		p.Addr = "http://" + ports.Center()
	case cluster.Dispatcher:
		p.Addr = "http://" + ports.Dispatcher()
	case cluster.Room:
		p.Addr = strings.Join(ports.Room(), ",")
	default:
		p.Addr = p.RPC()
	}
	return p
}

// Get finds a service's process; ok is false for one that was never part of the
// cluster.
func (c *Cluster) Get(kind string, n int) (p *Process, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.find(kind, n)
}

func (c *Cluster) find(kind string, n int) (*Process, bool) {
	i := slices.IndexFunc(c.state.Processes, func(p *Process) bool { return p.Kind == kind && p.N == n })
	if i < 0 {
		return nil, false
	}
	return c.state.Processes[i], true
}

// Processes lists the services' processes by kind in starting order.
func (c *Cluster) Processes() []*Process {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.state.Processes)
}

// Of lists the processes of one kind.
func (c *Cluster) Of(kind cluster.Kind) (out []*Process) {
	for _, p := range c.Processes() {
		if p.Kind == string(kind) {
			out = append(out, p)
		}
	}
	return out
}

// StartAll starts every process and returns when each is ready and every
// center lists all of them, or when ctx ends. After an error, what was started
// still runs: call StopAll.
func (c *Cluster) StartAll(ctx context.Context) error {
	for _, p := range c.Processes() {
		if err := c.run(p); err != nil {
			return err
		}
	}
	for _, p := range c.Processes() {
		if err := p.AwaitReady(ctx); err != nil {
			return err
		}
	}
	return c.AwaitListed(ctx)
}

// Start starts instance n of a kind, which may be a new one, and returns when
// it is ready.
func (c *Cluster) Start(ctx context.Context, kind string, n int) error {
	p, err := c.Add(kind, n)
	if err != nil {
		return err
	}
	if p.Alive() {
		return fmt.Errorf("%s runs already (pid %d)", p.Name(), p.PID)
	}
	if err := c.run(p); err != nil {
		return err
	}
	return p.AwaitReady(ctx)
}

// Add makes instance n of a kind part of the cluster, if it is not yet, and
// does not start it.
func (c *Cluster) Add(kind string, n int) (*Process, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p, ok := c.find(kind, n); ok {
		return p, nil
	}
	if !slices.Contains(cluster.Kinds, cluster.Kind(kind)) {
		return nil, fmt.Errorf("no service %q: there are %s", kind, KindNames())
	}
	if n < 1 || n > MaxCount {
		return nil, fmt.Errorf("the instance must be 1 to %d, not %d", MaxCount, n)
	}
	if err := CheckBase(c.state.Base, n); err != nil {
		return nil, err
	}
	p := c.process(kind, n)
	c.state.Processes = append(c.state.Processes, p)
	slices.SortStableFunc(c.state.Processes, func(a, b *Process) int {
		order := func(p *Process) int { return slices.Index(cluster.Kinds, cluster.Kind(p.Kind))*100 + p.N }
		return order(a) - order(b)
	})
	return p, c.save()
}

// run starts a process, which must not run.
func (c *Cluster) run(p *Process) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.launch(p, testenv.Command{Path: c.state.Binary, Log: p.Log, Args: []string{
		"serve", p.Kind, "-c", c.path(configFile), "--data", string(c.dir), "--port-base", fmt.Sprint(p.Base)}})
	return errors.Join(err, c.save())
}

// Kill ends instance n of a kind with SIGKILL.
func (c *Cluster) Kill(kind string, n int) error { return c.end(kind, n, (*Process).Kill) }

// Stop ends instance n of a kind with SIGTERM, as Process.Stop does.
func (c *Cluster) Stop(kind string, n int) error { return c.end(kind, n, (*Process).Stop) }

func (c *Cluster) end(kind string, n int, how func(*Process) error) error {
	p, ok := c.Get(kind, n)
	if !ok {
		return fmt.Errorf("there is no %s %d in this cluster", kind, n)
	}
	if !p.Alive() {
		return fmt.Errorf("%s does not run", p.Name())
	}
	err := how(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	return errors.Join(err, c.save())
}

// StopAll ends every process with SIGTERM, devices' doors first and keeper
// last, the instances of one kind at once. The errors are those of
// Process.Stop; nothing runs afterwards.
func (c *Cluster) StopAll() error { return c.endAll((*Process).Stop) }

// KillAll ends every process with SIGKILL.
func (c *Cluster) KillAll() error { return c.endAll((*Process).Kill) }

func (c *Cluster) endAll(how func(*Process) error) error {
	var all []error
	for _, kind := range slices.Backward(cluster.Kinds) {
		list := c.Of(kind)
		errs := make([]error, len(list))
		var wg sync.WaitGroup
		for i, p := range list {
			if p.Alive() {
				wg.Go(func() { errs[i] = how(p) })
			}
		}
		wg.Wait()
		all = append(all, errs...)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return errors.Join(append(all, c.save())...)
}

// KindNames lists the services for a message.
func KindNames() string {
	var names []string
	for _, k := range cluster.Kinds {
		names = append(names, string(k))
	}
	return strings.Join(names, ", ")
}
