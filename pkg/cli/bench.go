package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"longlink/pkg/bench"
)

type benchCmd struct {
	Connect benchConnectCmd `cmd:"" help:"Log many devices in; measure logins and memory."`
	Unicast benchUnicastCmd `cmd:"" help:"Send messages to single devices through the API; measure deliveries."`
	Child   benchChildCmd   `cmd:"" hidden:"" help:"A process of a run; started by the others."`
}

// benchFlags are common to all benches.
type benchFlags struct {
	target
	Product     string        `help:"Product that devices bind." default:"demo" placeholder:"P"`
	Connections int           `help:"Devices." default:"1000" placeholder:"N"`
	InFlight    int           `help:"Logins begun and not ended, at most." default:"256" placeholder:"N"`
	Workers     int           `help:"Processes that hold the devices, at least; more where the limit on open files asks for it." default:"1" placeholder:"N"`
	Heartbeat   time.Duration `help:"Heartbeat interval that devices wish for; 0: the room's choice." default:"0s"`
	Hold        time.Duration `help:"How long the logged-in devices stay idle; their cost is measured." default:"1s"`
	ServerPID   []string      `name:"server-pid" help:"Measure this process too, such as a store: PID or NAME=PID; may be repeated." placeholder:"PID"`
	Floor       bool          `help:"Run the same load against a bare gnet server and print the ratio."`
	JSON        string        `name:"json" help:"Write all figures to this file." placeholder:"FILE"`
}

const benchHelp = `

The gateway must be on this machine: only loopback addresses are accepted. Memory
per connection is right only on a gateway that has just been started. Exit code 1
when a login was refused, a connection broke or a message was lost or duplicated.`

type benchConnectCmd struct {
	benchFlags
	Rate float64 `help:"Logins a second; 0: as fast as --in-flight allows." default:"0" placeholder:"R"`
}

// Help is the example below the flags.
func (benchConnectCmd) Help() string {
	return `Example:
  longlink bench connect --connections 200 --rate 500 --floor` + benchHelp
}

// Run measures logins.
func (c *benchConnectCmd) Run(ctx context.Context, s streams) error {
	o, err := c.options(s)
	if err != nil {
		return err
	}
	o.LoginRate = c.Rate
	if err := o.Check(false); err != nil {
		return errUsage{err}
	}
	r, err := bench.Connect(ctx, o)
	return c.report(s, r, err)
}

type benchUnicastCmd struct {
	benchFlags
	LoginRate   float64       `help:"Logins a second; 0: as fast as --in-flight allows." default:"0" placeholder:"R"`
	Rate        float64       `help:"Messages a second; 0: as fast as --concurrency allows." default:"0" placeholder:"R"`
	Concurrency int           `help:"API calls at once." default:"64" placeholder:"N"`
	Messages    int           `help:"Stop after so many; 0: --duration decides." default:"0" placeholder:"N"`
	Duration    time.Duration `help:"How long to send." default:"10s"`
	Payload     int           `help:"Bytes of a message." default:"256" placeholder:"N"`
}

// Help is the example below the flags.
func (benchUnicastCmd) Help() string {
	return `Example:
  longlink bench unicast --connections 100 --messages 500 --json unicast.json` + benchHelp
}

// Run measures messages.
func (c *benchUnicastCmd) Run(ctx context.Context, s streams) error {
	o, err := c.options(s)
	if err != nil {
		return err
	}
	o.LoginRate, o.Rate, o.Concurrency, o.Messages, o.Duration, o.Payload = c.LoginRate, c.Rate, c.Concurrency, c.Messages, c.Duration, c.Payload
	if err := o.Check(true); err != nil {
		return errUsage{err}
	}
	r, err := bench.Unicast(ctx, o)
	return c.report(s, r, err)
}

// options resolves the gateway as target.client does, to the URL of one center and
// a key: the bench has an HTTP client of its own.
func (c *benchFlags) options(s streams) (bench.Options, error) {
	o := bench.Options{
		ServerPIDs: c.ServerPID, Product: c.Product, Floor: c.Floor, Log: s.err,
		Connections: c.Connections, InFlight: c.InFlight, Workers: c.Workers, Heartbeat: c.Heartbeat, Hold: c.Hold,
	}
	exe, err := os.Executable()
	if err != nil {
		return o, err
	}
	o.Child = []string{exe, "bench", "child"}
	centers, key, err := c.resolve(operator)
	if err != nil {
		return o, err
	}
	o.Center, o.APIKey = centers[0], key
	return o, nil
}

// report prints and stores what was measured, also of a run that went wrong.
func (c *benchFlags) report(s streams, r *bench.Result, err error) error {
	if err != nil {
		return err
	}
	if err := r.Print(s.out); err != nil {
		return err
	}
	if c.JSON != "" {
		b, err := json.MarshalIndent(r, "", "  ")
		if err == nil {
			err = os.WriteFile(c.JSON, append(b, '\n'), 0o644)
		}
		if err != nil {
			return fmt.Errorf("the figures were not written: %w", err)
		}
	}
	return r.Err()
}

type benchChildCmd struct {
	Role string `arg:"" enum:"worker,floor"`
}

// Run is a child process; it ends with its standard input.
func (c *benchChildCmd) Run(s streams) error { return bench.Child(c.Role, os.Stdin, s.out) }
