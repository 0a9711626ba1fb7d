// Package cli holds the commands of the longlink program.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
)

// Exit codes of every command.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// errUsage marks an error as wrong usage: exit code 2.
type errUsage struct{ error }

func usagef(format string, args ...any) error { return errUsage{fmt.Errorf(format, args...)} }

// root is the command line: one field a command.
type root struct {
	Serve      serveCmd      `cmd:"" help:"Run the gateway: all seven services in one process, or the ones named."`
	Device     deviceCmd     `cmd:"" help:"Be a device: connect, print what arrives, acknowledge it."`
	Push       pushCmd       `cmd:"" help:"Send one message to devices or to an alias."`
	Status     statusCmd     `cmd:"" help:"Show where devices are."`
	Kick       kickCmd       `cmd:"" help:"Throw devices off."`
	Trace      traceCmd      `cmd:"" help:"Show where a message is and how it got there."`
	Recall     recallCmd     `cmd:"" help:"Take a message back from the lanes in which it waits."`
	Alias      aliasCmd      `cmd:"" help:"List, add and remove the devices of an alias."`
	Events     eventsCmd     `cmd:"" help:"Follow what the devices of a product send."`
	Services   servicesCmd   `cmd:"" help:"List every running instance."`
	Rooms      roomsCmd      `cmd:"" help:"List the rooms."`
	Product    productCmd    `cmd:"" help:"List, create and delete products, rotate their API keys."`
	Token      tokenCmd      `cmd:"" help:"Make a device token, or explain one."`
	Config     configCmd     `cmd:"" help:"Print the annotated default config, or check a file."`
	Bench      benchCmd      `cmd:"" help:"Measure a gateway on this machine under load."`
	Version    versionCmd    `cmd:"" help:"Print the version."`
	Completion completionCmd `cmd:"" help:"Print a completion script for a shell."`
}

// sameSignal is how long after the first signal others count as the same.
const sameSignal = 200 * time.Millisecond

// streams are where a command reads and writes.
type streams struct {
	out, err io.Writer
}

// Main runs the command line and returns the exit code. It ends the command's
// context at the first SIGINT or SIGTERM; a second one exits at once.
func Main(args []string, stdout, stderr io.Writer) int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	sig := make(chan os.Signal, 2)
	signal.Notify(sig, syscall.SIGINT, syscall.SIGTERM)
	defer signal.Stop(sig)
	go func() {
		<-sig
		cancel()
		// The same request may come twice at once: a terminal or timeout(1)
		// signals the process and its group.
		once := time.NewTimer(sameSignal)
		defer once.Stop()
		for waiting := true; waiting; {
			select {
			case <-sig:
			case <-once.C:
				waiting = false
			}
		}
		<-sig
		os.Exit(exitFailed)
	}()
	return run(ctx, args, streams{stdout, stderr})
}

func run(ctx context.Context, args []string, s streams) int {
	var r root
	exited := -1
	parser, err := kong.New(&r,
		kong.Name("longlink"),
		kong.Description("A TCP long-connection push gateway."),
		kong.Writers(s.out, s.err),
		kong.Exit(func(code int) { exited = code; panic(exitCalled{}) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(s),
	)
	if err != nil {
		panic(err) // the commands' own tags are wrong
	}
	var kctx *kong.Context
	if done := catchExit(func() { kctx, err = parser.Parse(args) }); done {
		return exited
	}
	if err != nil {
		fmt.Fprintf(s.err, "longlink: %s; see longlink --help\n", err)
		return exitUsage
	}
	if err = kctx.Run(); err == nil || errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return exitDone
	}
	fmt.Fprintf(s.err, "longlink %s: %s\n", kctx.Selected().Path(), err)
	var u errUsage
	if errors.As(err, &u) {
		return exitUsage
	}
	return exitFailed
}

type exitCalled struct{}

// catchExit runs fn and says whether it ended in kong's exit (--help).
func catchExit(fn func()) (exited bool) {
	defer func() {
		if v := recover(); v != nil {
			if _, ok := v.(exitCalled); !ok {
				panic(v)
			}
			exited = true
		}
	}()
	fn()
	return false
}
