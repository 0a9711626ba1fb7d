package local

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"longlink/pkg/app"
	"longlink/pkg/client"
	"longlink/pkg/cluster"
)

// Ready asks /readyz; the error says why the process is not ready.
func (p *Process) Ready(ctx context.Context) error {
	if !p.Alive() {
		return fmt.Errorf("%s does not run", p.Name())
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.Ops()+"/readyz", nil)
	if err != nil {
		return err
	}
	transport := &http.Transport{DisableKeepAlives: true}
	res, err := transport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, 4096))
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		for _, line := range strings.Split(string(b), "\n") {
			if why, ok := strings.CutPrefix(line, "[-] "); ok {
				return fmt.Errorf("%s", why)
			}
		}
		return fmt.Errorf("/readyz answered %s", res.Status)
	}
	return nil
}

// AwaitReady returns when the process is ready; an error when it ends, or when
// ctx does, with the end of its log.
func (p *Process) AwaitReady(ctx context.Context) error {
	return poll(ctx, p.Name()+" to be ready", func() (error, bool) {
		err := p.Ready(ctx)
		if err != nil && !p.Alive() {
			return fmt.Errorf("%s ended before it was ready; the end of %s:\n%s", p.Name(), p.Log, p.Tail()), true
		}
		return err, false
	})
}

// AwaitListed returns when every running center lists every running process as
// ready, and every running dispatcher names a room.
func (c *Cluster) AwaitListed(ctx context.Context) error {
	key, err := c.OperatorKey()
	if err != nil {
		return err
	}
	for _, p := range c.Processes() {
		if !p.Alive() {
			continue
		}
		switch cluster.Kind(p.Kind) {
		case cluster.Center:
			err = poll(ctx, p.Name()+" to list every process", func() (error, bool) { return c.listed(ctx, p, key), false })
		case cluster.Dispatcher:
			err = poll(ctx, p.Name()+" to name a room", func() (error, bool) { return namesRoom(ctx, p.Addr), false })
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// listed asks a center for all instances.
func (c *Cluster) listed(ctx context.Context, center *Process, key string) error {
	api, err := client.New(client.Config{Center: center.Addr, APIKey: key, Tries: 1})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	list, err := api.Services(ctx)
	if err != nil {
		return err
	}
	seen := map[string]string{}
	for _, s := range list {
		seen[s.Kind+" "+s.RPC] = s.State
	}
	for _, p := range c.Processes() {
		if state := seen[p.Kind+" "+p.RPC()]; p.Alive() && state != string(cluster.Ready) {
			return fmt.Errorf("it does not list %s as ready (%q)", p.Name(), state)
		}
	}
	return nil
}

func namesRoom(ctx context.Context, dispatcher string) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, dispatcher+"/v1/rooms?device=probe", nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if b, _ := io.ReadAll(io.LimitReader(res.Body, 4096)); res.StatusCode != http.StatusOK {
		return fmt.Errorf("it answers %s %s", res.Status, b)
	}
	return nil
}

// poll asks until the answer is nil, final, or ctx ends.
func poll(ctx context.Context, what string, ask func() (err error, final bool)) error {
	tick := time.NewTicker(5 * pollEvery)
	defer tick.Stop()
	for {
		err, final := ask()
		if err == nil || final {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("waited for %s: %w (%w)", what, err, context.Cause(ctx))
		}
	}
}

// CheckBase refuses port bases of which a port would not exist.
func CheckBase(base, count int) error {
	if last := base + (count-1)*Stride + Stride - 1; base < 1 || last > 65535 {
		return fmt.Errorf("port base %d leaves no room for %d instances: choose one between 1 and %d", base, count, 65536-count*Stride)
	}
	return nil
}

// CheckPorts says which of the ports that the bases stand for somebody holds.
func CheckPorts(base, count int) error {
	if err := CheckBase(base, count); err != nil {
		return err
	}
	for n := range count {
		ports := app.Ports{Host: host, Base: base + n*Stride}
		addrs := append(ports.Room(), ports.Dispatcher(), ports.Center(), ports.EtcdClient(), ports.EtcdPeer(), ports.Ops(nil))
		for _, kind := range cluster.Kinds {
			addrs = append(addrs, ports.RPC(kind), ports.Ops([]cluster.Kind{kind}))
		}
		for _, addr := range addrs {
			l, err := net.Listen("tcp", addr)
			if err != nil {
				return fmt.Errorf("%w: end what holds it, or choose another --port-base", err)
			}
			if err := l.Close(); err != nil {
				return err
			}
		}
	}
	return nil
}
