package cli

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"longlink/pkg/client"
)

type productCmd struct {
	Ls        productLs     `cmd:"" help:"List products."`
	Create    productCreate `cmd:"" help:"Create a product and print its API key and grant secret, once."`
	RotateKey productRotate `cmd:"" name:"rotate-key" help:"Make a new API key."`
	Delete    productDelete `cmd:"" help:"Delete a product: its devices are unbound, its keys end."`
}

type productLs struct{ target }

// Help is the example below the flags.
func (productLs) Help() string { return "Example:\n  longlink product ls" }

// Run prints one line a product.
func (c *productLs) Run(ctx context.Context, s streams) error {
	api, err := c.client("operator")
	if err != nil {
		return err
	}
	list, err := api.Products(ctx)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(s.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tCREATED\tKEYS")
	for _, p := range list {
		fmt.Fprintf(w, "%s\t%s\t%s\n", p.Name, p.Created, strings.Join(p.KeyIDs, ","))
	}
	return w.Flush()
}

type productCreate struct {
	target
	Name string `arg:"" help:"Name: letters, digits and ._~- , 64 at most."`
}

// Help is the example below the flags.
func (productCreate) Help() string { return "Example:\n  longlink product create shop" }

// Run creates the product.
func (c *productCreate) Run(ctx context.Context, s streams) error {
	api, err := c.client("operator")
	if err != nil {
		return err
	}
	k, err := api.CreateProduct(ctx, c.Name)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "product\t%s\napi_key\t%s\ngrant_kid\t%s\ngrant_secret\t%s\n", k.Name, k.APIKey, k.GrantKID, k.GrantSecret)
	fmt.Fprintln(s.err, "Keep the key now: only its hash is stored.")
	return nil
}

type productRotate struct {
	target
	Name string `arg:"" help:"The product."`
}

// Help is the example below the flags.
func (productRotate) Help() string { return "Example:\n  longlink product rotate-key shop" }

// Run makes a new key.
func (c *productRotate) Run(ctx context.Context, s streams) error {
	api, err := c.client("operator")
	if err != nil {
		return err
	}
	k, err := api.RotateProductKey(ctx, c.Name)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "api_key\t%s\n", k.APIKey)
	return nil
}

type productDelete struct {
	target
	Name string `arg:"" help:"The product."`
}

// Help is the example below the flags.
func (productDelete) Help() string { return "Example:\n  longlink product delete shop" }

// Run deletes the product.
func (c *productDelete) Run(ctx context.Context, s streams) error {
	api, err := c.client("operator")
	if err != nil {
		return err
	}
	if err := api.DeleteProduct(ctx, c.Name); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "deleted\t%s\n", c.Name)
	return nil
}

type tokenCmd struct {
	target
	Device  string            `help:"Device the token is for." placeholder:"D"`
	Product []string          `help:"Product the device may bind; may be repeated." placeholder:"P"`
	Alias   map[string]string `help:"Alias of the device in a product." placeholder:"PRODUCT=ALIAS"`
	TTL     time.Duration     `name:"ttl" help:"How long it is valid." default:"720h"`
	Explain string            `help:"Print what a token says instead; - reads it from standard input." placeholder:"TOKEN"`
}

// Help is the example below the flags.
func (tokenCmd) Help() string {
	return `Example:
  longlink token --device phone-1 --product demo
  longlink token --explain TOKEN

Needs the operator's key, which signs nothing itself: center does.`
}

// Run makes or explains a token.
func (c *tokenCmd) Run(ctx context.Context, s streams) error {
	if c.Explain != "" {
		return explainToken(c.Explain, s)
	}
	if c.Device == "" || len(c.Product) == 0 {
		return usagef("give --device and at least one --product, or --explain TOKEN")
	}
	api, err := c.client("operator")
	if err != nil {
		return err
	}
	t, err := api.CreateToken(ctx, client.TokenRequest{Device: c.Device, Products: c.Product, Aliases: c.Alias, TTL: c.TTL.String()})
	if err != nil {
		return err
	}
	fmt.Fprintln(s.out, t.Token)
	return nil
}
