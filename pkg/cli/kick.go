package cli

import (
	"context"
	"fmt"
)

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
	api, err := c.client(operator)
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
