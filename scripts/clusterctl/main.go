// Command clusterctl is what scripts/cluster runs: it starts, shows and ends
// the distributed shape on this machine.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

// Exit codes, as those of longlink.
const (
	exitFailed = 1
	exitUsage  = 2
)

// usageError is wrong usage that the parser does not see.
type usageError struct{ error }

type root struct {
	Up     upCmd     `cmd:"" help:"Start two of each service on an etcd, a Redis and a MariaDB of their own."`
	Down   downCmd   `cmd:"" help:"End everything that up has started."`
	Status statusCmd `cmd:"" help:"Show every process; exit code 1 when one is not ready."`
	Kill   killCmd   `cmd:"" help:"End one process."`
	Start  startCmd  `cmd:"" help:"Start one process again, or one more of a service."`
	Stores storesCmd `cmd:"" hidden:"" help:"Run the stores; up starts this by itself."`
}

// where is the flag that all commands share.
type where struct {
	Dir string `help:"Directory for state, logs and data." default:"data/cluster" placeholder:"DIR"`
}

func main() {
	// SIGHUP too, so that a closed terminal ends a start that is under way; the
	// host of the stores takes it for something else.
	signals := []os.Signal{syscall.SIGINT, syscall.SIGTERM}
	if len(os.Args) < 2 || os.Args[1] != "stores" {
		signals = append(signals, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
	defer stop()
	var r root
	parser, err := kong.New(&r,
		kong.Name("scripts/cluster"),
		kong.Description("The distributed shape of longlink on this machine.\n\nExample:\n  scripts/cluster up\n  scripts/cluster kill register 1 -9\n  scripts/cluster start register 1\n  scripts/cluster down"),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.BindTo(ctx, (*context.Context)(nil)),
	)
	if err != nil {
		panic(err) // the commands' own tags are wrong
	}
	kctx, err := parser.Parse(os.Args[1:])
	if err != nil {
		fmt.Fprintf(os.Stderr, "scripts/cluster: %s; see scripts/cluster --help\n", err)
		os.Exit(exitUsage)
	}
	if err := kctx.Run(); err != nil {
		fmt.Fprintf(os.Stderr, "scripts/cluster %s: %s\n", kctx.Selected().Name, err)
		var u usageError
		if errors.As(err, &u) {
			os.Exit(exitUsage)
		}
		os.Exit(exitFailed)
	}
}
