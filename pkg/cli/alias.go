package cli

import (
	"context"
	"fmt"

	"longlink/pkg/client"
)

type aliasCmd struct {
	Ls  aliasLs  `cmd:"" help:"List the devices of an alias."`
	Add aliasAdd `cmd:"" help:"Make devices part of an alias."`
	Rm  aliasRm  `cmd:"" help:"Take devices out of an alias."`
}

// aliasFlags name the alias.
type aliasFlags struct {
	target
	listFlags
	Product string `help:"Product of the alias." required:"" placeholder:"P"`
	Alias   string `arg:"" help:"The alias, such as a user's name."`
}

type aliasLs struct{ aliasFlags }

// Help is the example below the flags.
func (aliasLs) Help() string { return "Example:\n  longlink alias ls --product demo alice" }

// Run prints one line a device.
func (c *aliasLs) Run(ctx context.Context, s streams) error {
	api, err := c.client(keyOf(c.Product))
	if err != nil {
		return err
	}
	list, err := api.Alias(ctx, c.Product, c.Alias)
	if err != nil {
		return err
	}
	return printList(s.out, c.listFlags, "member", "DEVICE\tSINCE", list, func(m client.AliasMember) []string { return []string{m.Device, m.Created} })
}

type aliasAdd struct {
	aliasFlags
	Devices []string `arg:"" name:"device" help:"The devices."`
}

// Help is the example below the flags.
func (aliasAdd) Help() string {
	return `Example:
  longlink alias add --product demo alice phone-1 phone-2
  longlink push --product demo --alias alice --text hello

A login with a token that names another alias takes the device out again.`
}

// Run adds one device after the other.
func (c *aliasAdd) Run(ctx context.Context, s streams) error {
	return c.each(ctx, s, c.Devices, "added", (*client.Client).AddAlias)
}

type aliasRm struct {
	aliasFlags
	Devices []string `arg:"" name:"device" help:"The devices."`
}

// Help is the example below the flags.
func (aliasRm) Help() string { return "Example:\n  longlink alias rm --product demo alice phone-2" }

// Run removes one device after the other.
func (c *aliasRm) Run(ctx context.Context, s streams) error {
	return c.each(ctx, s, c.Devices, "removed", (*client.Client).RemoveAlias)
}

// each changes one device after the other, prints a line for each and goes on
// after a failure.
func (c *aliasFlags) each(ctx context.Context, s streams, devices []string, done string, change func(*client.Client, context.Context, string, string, string) (bool, error)) error {
	api, err := c.client(keyOf(c.Product))
	if err != nil {
		return err
	}
	failed := 0
	for _, d := range devices {
		changed, err := change(api, ctx, c.Product, c.Alias, d)
		state, why := done, ""
		switch {
		case err != nil:
			failed++
			state, why = "failed", err.Error()
		case !changed:
			state = "unchanged"
		}
		if c.JSON {
			line := map[string]any{"device": d, "state": state}
			if err != nil {
				line["error"] = why
			}
			err = printObject(s.out, "alias", line)
		} else if err != nil {
			_, err = fmt.Fprintf(s.out, "%s\t%s\t%s\n", d, state, why)
		} else {
			_, err = fmt.Fprintf(s.out, "%s\t%s\n", d, state)
		}
		if err != nil {
			return err
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d devices were not %s", failed, len(devices), done)
	}
	return nil
}
