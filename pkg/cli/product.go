package cli

import (
	"context"
	"fmt"
	"strings"

	"longlink/pkg/client"
)

type productCmd struct {
	Ls        productLs     `cmd:"" help:"List products."`
	Create    productCreate `cmd:"" help:"Create a product and print its API key and grant secret, once."`
	RotateKey productRotate `cmd:"" name:"rotate-key" help:"Make a new API key."`
	Delete    productDelete `cmd:"" help:"Delete a product: its devices are unbound, its keys end."`
}

type productLs struct {
	target
	listFlags
}

// Help is the example below the flags.
func (productLs) Help() string { return "Example:\n  longlink product ls" }

// Run prints one line a product.
func (c *productLs) Run(ctx context.Context, s streams) error {
	api, err := c.client(operator)
	if err != nil {
		return err
	}
	list, err := api.Products(ctx)
	if err != nil {
		return err
	}
	return printList(s.out, c.listFlags, "product", "NAME\tCREATED\tKEYS", list, func(p client.Product) []string {
		return []string{p.Name, p.Created, strings.Join(p.KeyIDs, ",")}
	})
}

type productCreate struct {
	target
	Name string `arg:"" help:"Name: letters, digits and ._~- , 64 at most."`
}

// Help is the example below the flags.
func (productCreate) Help() string { return "Example:\n  longlink product create shop" }

// Run creates the product.
func (c *productCreate) Run(ctx context.Context, s streams) error {
	api, err := c.client(operator)
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
	api, err := c.client(operator)
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
	api, err := c.client(operator)
	if err != nil {
		return err
	}
	if err := api.DeleteProduct(ctx, c.Name); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "deleted\t%s\n", c.Name)
	return nil
}
