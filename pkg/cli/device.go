package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"sync"
	"time"

	"longlink/pkg/client"
	"longlink/pkg/lifecycle"
	"longlink/pkg/sdk"
)

type deviceCmd struct {
	target
	ID         string   `name:"id" help:"The device's id." required:"" placeholder:"ID"`
	Token      string   `help:"Device token; default: made through the local gateway's center." placeholder:"T"`
	Product    []string `help:"Product to bind; may be repeated." default:"demo" placeholder:"P"`
	Tag        []string `help:"Tag to bind in a product; may be repeated." placeholder:"P/T"`
	Count      int      `help:"Run this many devices, ID-1 to ID-N, in one process." default:"0" placeholder:"N"`
	Network    string   `help:"Network told to the gateway." enum:"wifi,5g,4g,3g,2g,wired" default:"wifi"`
	Send       []string `help:"Send this to the product's backend, once connected; may be repeated. It goes to the first --product, or P/KIND=TEXT says to which." sep:"none" placeholder:"KIND=TEXT"`
	Ack        bool     `help:"Acknowledge what arrives; --ack=false only watches." default:"true" negatable:""`
	State      string   `help:"Directory for cursors (default DATA/devices)." placeholder:"DIR"`
	Dispatcher []string `help:"Dispatcher's URL; several may be given (default: the local gateway's)." placeholder:"URL"`
	JSON       bool     `name:"json" help:"Print one JSON object per line."`
	Verbose    bool     `short:"v" help:"Log what the SDK does to standard error."`
}

// Help is the example below the flags.
func (deviceCmd) Help() string {
	return `Example:
  longlink device --id phone-1
  longlink device --id phone --count 100 --product demo --tag demo/beta --json
  longlink device --id phone-1 --send report=ready --send demo/position=52.5,13.4

Prints what it receives and acknowledges it. Ends at Ctrl-C; with exit code 1
when something of --send was not stored.`
}

// Run runs the devices until a signal, or until one is refused for good.
func (c *deviceCmd) Run(ctx context.Context, s streams) error {
	products, err := c.products()
	if err != nil {
		return err
	}
	sends, err := c.sends()
	if err != nil {
		return err
	}
	dispatchers, err := c.dispatchers()
	if err != nil {
		return err
	}
	var api *client.Client
	if c.Token == "" {
		if api, err = c.client(operator); err != nil {
			return err
		}
	}
	level := slog.LevelError // such as a state directory that cannot be written
	if c.Verbose {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(s.err, &slog.HandlerOptions{Level: level}))
	dir := c.State
	if dir == "" {
		dir = c.dir().Devices()
	}
	out := &printer{w: s.out, json: c.JSON}
	up := &sender{list: sends, out: out}
	store := sdk.NewFileStore(dir)
	g := lifecycle.NewGroup(ctx, log, nil)
	ids := c.ids()
	for _, id := range ids {
		first, once := make(chan struct{}), sync.Once{}
		cfg := sdk.Config{
			Device: id, Products: products, Dispatcher: dispatchers, Network: c.Network, Store: store, NoAck: !c.Ack,
			Token:          c.token(api, id),
			Handler:        func(_ context.Context, m sdk.Message) error { return out.message(id, m) },
			OnConnected:    func(c sdk.Connected) { out.connected(c); once.Do(func() { close(first) }) },
			OnDisconnected: out.disconnected,
			OnRedirect:     out.redirect,
			OnBound:        out.bound,
			Logger:         log,
		}
		d, err := sdk.New(cfg)
		if err != nil {
			g.Cancel()
			return errors.Join(errUsage{err}, g.Wait())
		}
		g.Go("device "+id, d.Run)
		if len(sends) > 0 {
			g.Go("send "+id, func(ctx context.Context) error { return up.run(ctx, id, d, first) })
		}
	}
	if err := g.Wait(); err != nil && ctx.Err() == nil {
		return err
	}
	return up.judge(len(ids))
}

func (c *deviceCmd) ids() []string {
	if c.Count <= 0 {
		return []string{c.ID}
	}
	ids := make([]string, c.Count)
	for i := range ids {
		ids[i] = fmt.Sprintf("%s-%d", c.ID, i+1)
	}
	return ids
}

func (c *deviceCmd) products() ([]sdk.Product, error) {
	list := make([]sdk.Product, len(c.Product))
	at := map[string]int{}
	for i, p := range c.Product {
		list[i].Name, at[p] = p, i
	}
	for _, t := range c.Tag {
		p, tag, ok := strings.Cut(t, "/")
		i, bound := at[p]
		if !ok || !bound {
			return nil, usagef("--tag %s: write PRODUCT/TAG with a product of --product", t)
		}
		list[i].Tags = append(list[i].Tags, tag)
	}
	return list, nil
}

func (c *deviceCmd) dispatchers() ([]string, error) {
	if len(c.Dispatcher) > 0 {
		return c.Dispatcher, nil
	}
	e, err := c.dir().Endpoints()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, usagef("no gateway has run in %s; name its dispatcher with --dispatcher URL or its data directory with --data DIR", c.dir())
	}
	return e.AllDispatchers(), err
}

// token is where the SDK gets a device token: the given one, or a fresh one.
func (c *deviceCmd) token(api *client.Client, device string) func(context.Context) (string, error) {
	if c.Token != "" {
		return func(context.Context) (string, error) { return c.Token, nil }
	}
	return func(ctx context.Context) (string, error) {
		t, err := api.CreateToken(ctx, client.TokenRequest{Device: device, Products: c.Product, TTL: (720 * time.Hour).String()})
		return t.Token, err
	}
}
