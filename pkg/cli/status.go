package cli

import (
	"context"
	"fmt"
	"sort"
	"strings"
	"text/tabwriter"
)

type statusCmd struct {
	target
	Devices []string `arg:"" name:"device" help:"Devices to look up (100 at most)."`
}

// Help is the example below the flags.
func (statusCmd) Help() string { return "Example:\n  longlink status phone-1 phone-2" }

// Run prints one line a device and product.
func (c *statusCmd) Run(ctx context.Context, s streams) error {
	api, err := c.client("operator")
	if err != nil {
		return err
	}
	devices, err := api.Devices(ctx, c.Devices...)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(s.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "DEVICE\tSTATE\tROOM\tSINCE\tNETWORK\tPRODUCT\tTAGS\tPENDING")
	dash := func(v string) string {
		if v == "" {
			return "-"
		}
		return v
	}
	for _, d := range devices {
		head := fmt.Sprintf("%s\t%s\t%s\t%s\t%s", d.Device, d.State, dash(d.Room), dash(d.Since), dash(d.Network))
		if len(d.Bindings) == 0 {
			fmt.Fprintf(w, "%s\t-\t-\t-\n", head)
		}
		for _, b := range d.Bindings {
			fmt.Fprintf(w, "%s\t%s\t%s\t%d\n", head, b.Product, dash(strings.Join(b.Tags, ",")), b.Pending)
		}
	}
	return w.Flush()
}

type kickCmd struct {
	target
	Reason  string   `help:"Told to the device." placeholder:"TEXT"`
	Devices []string `arg:"" name:"device" help:"Devices to throw off."`
}

// Help is the example below the flags.
func (kickCmd) Help() string {
	return `Example:
  longlink kick phone-1

With the operator's key the connection is closed; with a product's key only that
product is unbound.`
}

// Run kicks one device after the other and goes on after a failure.
func (c *kickCmd) Run(ctx context.Context, s streams) error {
	api, err := c.client("operator")
	if err != nil {
		return err
	}
	failed := 0
	for _, d := range c.Devices {
		state, err := api.Kick(ctx, d, c.Reason)
		if err != nil {
			failed++
			fmt.Fprintf(s.out, "%s\tfailed\t%s\n", d, err)
			continue
		}
		fmt.Fprintf(s.out, "%s\t%s\n", d, state)
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d devices were not kicked", failed, len(c.Devices))
	}
	return nil
}

type servicesCmd struct{ target }

// Help is the example below the flags.
func (servicesCmd) Help() string { return "Example:\n  longlink services" }

// Run prints one line an instance.
func (c *servicesCmd) Run(ctx context.Context, s streams) error {
	api, err := c.client("operator")
	if err != nil {
		return err
	}
	list, err := api.Services(ctx)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(s.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "KIND\tID\tSTATE\tVERSION\tADDRESSES\tLOAD")
	for _, i := range list {
		names := make([]string, 0, len(i.Figures))
		for n := range i.Figures {
			names = append(names, n)
		}
		sort.Strings(names)
		var load []string
		for _, n := range names {
			load = append(load, fmt.Sprintf("%s=%g", n, i.Figures[n]))
		}
		addr := strings.Join(i.Addresses, ",")
		if addr == "" {
			addr = i.RPC
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", i.Kind, i.ID, i.State, i.Version, addr, strings.Join(load, " "))
	}
	return w.Flush()
}
