package cli

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"

	"longlink/pkg/client"
)

type traceCmd struct {
	target
	listFlags
	Product string `help:"Product of the message (default: any, with the operator's key)." placeholder:"P"`
	ID      string `arg:"" name:"message-id" help:"The id that push printed."`
}

// Help is the example below the flags.
func (traceCmd) Help() string {
	return `Example:
  longlink trace "$(longlink push --product demo --device phone-1 --text hello | cut -f 4)"

Prints the state of each device's message, then every step that the instances
remember, by their clocks. They forget: memory is bounded and ends with them. The
ledger's state stays until a while after the message has expired.`
}

// Run prints where the message is.
func (c *traceCmd) Run(ctx context.Context, s streams) error {
	api, err := c.client(keyOf(c.Product))
	if err != nil {
		return err
	}
	t, err := api.Trace(ctx, c.Product, c.ID)
	if err != nil {
		return err
	}
	err = printList(s.out, c.listFlags, "target", "PRODUCT\tDEVICE\tSTATE\tSEQ\tACCEPTED\tEXPIRES", t.Targets, func(m client.MessageTarget) []string {
		return []string{m.Product, m.Device, m.State, fmt.Sprint(m.Seq), m.Accepted, m.Expires}
	})
	if err != nil {
		return err
	}
	if !c.JSON {
		fmt.Fprintln(s.out)
	}
	err = printList(s.out, c.listFlags, "event", "TIME\tSTAGE\tNODE\tDEVICE\tDETAIL", t.Events, func(e client.TraceEvent) []string {
		return []string{e.Time, e.Stage, e.Node, dash(e.Device), dash(strings.TrimSpace(e.Code + " " + visible(e.Detail)))}
	})
	if err != nil || len(t.Silent) == 0 {
		return err
	}
	if c.JSON {
		return printObject(s.out, "silent", map[string]any{"instances": t.Silent})
	}
	_, err = fmt.Fprintf(s.out, "\nNo answer from %s: steps may be missing.\n", strings.Join(t.Silent, ", "))
	return err
}

type recallCmd struct {
	target
	listFlags
	Product string `help:"Product of the message (default: any, with the operator's key)." placeholder:"P"`
	ID      string `arg:"" name:"message-id" help:"The id that push printed."`
}

// Help is the example below the flags.
func (recallCmd) Help() string {
	return `Example:
  longlink recall "$(longlink push --product demo --device phone-2 --text oops | cut -f 4)"

Prints id, how many devices will not get it any more, and to how many it was
sent. A device that has consumed it keeps it.`
}

// Run takes a message back.
func (c *recallCmd) Run(ctx context.Context, s streams) error {
	api, err := c.client(keyOf(c.Product))
	if err != nil {
		return err
	}
	r, err := api.Recall(ctx, c.Product, c.ID)
	if err != nil {
		return err
	}
	if c.JSON {
		return printObject(s.out, "recalled", r)
	}
	t := tabwriter.NewWriter(s.out, 0, 4, 2, ' ', 0)
	fmt.Fprintf(t, "ID\tRECALLED\tTARGETS\n%s\t%d\t%d\n", r.ID, r.Recalled, r.Targets)
	return t.Flush()
}
