package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"longlink/pkg/client"
)

type tokenCmd struct {
	target
	Device  string        `help:"Device the token is for." placeholder:"D"`
	Product []string      `help:"Product the device may bind without a grant; may be repeated." placeholder:"P"`
	Alias   []string      `help:"Alias of the device in every --product, or in one: P=A." placeholder:"A"`
	TTL     time.Duration `name:"ttl" help:"How long it is valid." default:"720h"`
	Explain string        `help:"Print what a token says instead; - reads it from standard input." placeholder:"TOKEN"`
}

// Help is the example below the flags.
func (tokenCmd) Help() string {
	return `Example:
  longlink token --device phone-1 --product demo --alias alice
  longlink token --explain "$(longlink token --device phone-1 --product demo)"

Needs the operator's key, which signs nothing itself: center does. A login with
the token makes the device one of the alias, in place of the alias that an
earlier token gave it.`
}

// Run makes or explains a token.
func (c *tokenCmd) Run(ctx context.Context, s streams) error {
	if c.Explain != "" {
		return explainToken(c.Explain, s)
	}
	if c.Device == "" {
		return usagef("give --device, or --explain TOKEN")
	}
	aliases, err := c.aliases()
	if err != nil {
		return err
	}
	api, err := c.client(operator)
	if err != nil {
		return err
	}
	t, err := api.CreateToken(ctx, client.TokenRequest{Device: c.Device, Products: c.Product, Aliases: aliases, TTL: c.TTL.String()})
	if err != nil {
		return err
	}
	fmt.Fprintln(s.out, t.Token)
	return nil
}

// aliases reads --alias: the ones for a single product win.
func (c *tokenCmd) aliases() (map[string]string, error) {
	if len(c.Alias) == 0 {
		return nil, nil
	}
	if len(c.Product) == 0 {
		return nil, usagef("--alias needs a --product in which the device has it")
	}
	everywhere, in := "", map[string]string{}
	for _, a := range c.Alias {
		product, alias, one := strings.Cut(a, "=")
		switch {
		case !one && everywhere != "":
			return nil, usagef("--alias %s: a device has one alias in a product, and %s is given too", a, everywhere)
		case !one:
			everywhere = a
		case in[product] != "":
			return nil, usagef("--alias %s: a device has one alias in a product, and %s is given too", a, in[product])
		default:
			in[product] = alias
		}
	}
	for _, p := range c.Product {
		if in[p] == "" && everywhere != "" {
			in[p] = everywhere
		}
	}
	return in, nil
}
