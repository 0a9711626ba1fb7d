package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"

	"longlink/pkg/client"
)

type eventsCmd struct {
	target
	listFlags
	Product string        `help:"Product to follow." required:"" placeholder:"P"`
	Kind    string        `help:"Only this kind." placeholder:"K"`
	Since   time.Duration `help:"Begin so far back; 0: with what comes from now on." default:"0s"`
}

// Help is the example below the flags.
func (eventsCmd) Help() string {
	return `Example:
  longlink events --product demo --since 10m
  longlink events --product demo --kind report --since 1h --json

Follows what the devices send, in order for each of them, and connects again by
itself. Ends at Ctrl-C.`
}

// Run follows until a signal.
func (c *eventsCmd) Run(ctx context.Context, s streams) error {
	if c.Since < 0 {
		return usagef("--since must not be negative")
	}
	api, err := c.client(keyOf(c.Product))
	if err != nil {
		return err
	}
	r := client.EventsRequest{Product: c.Product, Kind: c.Kind, Since: c.Since, OnBreak: func(err error, again time.Duration) {
		fmt.Fprintf(s.err, "longlink events: %v; again in %s\n", err, again.Round(time.Millisecond))
	}}
	return api.Events(ctx, r, func(e client.Event) error {
		if c.JSON {
			b, err := json.Marshal(e) // has its type
			if err == nil {
				_, err = fmt.Fprintf(s.out, "%s\n", b)
			}
			return err
		}
		_, err := fmt.Fprintf(s.out, "%s  %s  %s  %s\n", e.Time, visible(e.Device), visible(e.Kind), bodyOf(e))
		return err
	})
}

// bodyOf is an event's body for people.
func bodyOf(e client.Event) string {
	switch {
	case e.Text != nil:
		return visible(*e.Text)
	case e.JSON != nil:
		return visible(string(e.JSON))
	case utf8.Valid(e.Payload):
		return visible(string(e.Payload))
	}
	return fmt.Sprintf("%d bytes", len(e.Payload))
}
