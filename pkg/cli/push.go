package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"longlink/pkg/client"
)

type pushCmd struct {
	target
	Product     string        `help:"Product to send in." required:"" placeholder:"P"`
	Device      []string      `help:"Device to send to; may be repeated." xor:"to" placeholder:"D"`
	Alias       string        `help:"Send to the devices of this alias instead." xor:"to" placeholder:"A"`
	Text        *string       `help:"Payload as text." xor:"payload" placeholder:"T"`
	JSON        *string       `name:"json" help:"Payload as JSON." xor:"payload" placeholder:"J"`
	File        string        `help:"Payload from a file, - for standard input." xor:"payload" placeholder:"F"`
	TTL         time.Duration `name:"ttl" help:"How long the message is kept." default:"24h"`
	QoS         int           `name:"qos" help:"1: stored and acknowledged; 0: to a connected device or nowhere." enum:"0,1" default:"1"`
	CollapseKey string        `help:"Replaces an unconsumed message with the same key." placeholder:"K"`
	DedupID     string        `name:"dedup-id" help:"A repeated push with this id is stored once." placeholder:"I"`
	Wait        time.Duration `help:"Wait this long for the device's ack." placeholder:"5s"`
}

// Help is the example below the flags.
func (pushCmd) Help() string {
	return `Example:
  longlink push --product demo --device phone-1 --text hello --wait 5s
  longlink push --product demo --device phone-1 --device phone-2 --json '{"n":1}' --ttl 1h

Prints one line a device: device, state (sent, stored, acked), seq, message id.
Exit code 1 when a device's message was refused, or was not acked within --wait.`
}

// Run sends the push.
func (c *pushCmd) Run(ctx context.Context, s streams) error {
	r := client.PushRequest{Product: c.Product, TTL: c.TTL.String(), QoS: &c.QoS, CollapseKey: c.CollapseKey, DedupID: c.DedupID}
	switch {
	case c.Alias != "":
		r.Alias = c.Alias
	case len(c.Device) == 0:
		return usagef("name at least one --device, or an --alias")
	case len(c.Device) == 1:
		r.Device = c.Device[0]
	default:
		r.Devices = c.Device
	}
	switch {
	case c.Text != nil:
		r.Text = c.Text
	case c.JSON != nil:
		if !json.Valid([]byte(*c.JSON)) {
			return usagef("--json is not valid JSON")
		}
		r.JSON = json.RawMessage(*c.JSON)
	case c.File != "":
		b, err := readFile(c.File)
		if err != nil {
			return usagef("--file: %w", err)
		}
		r.Payload = b
	default:
		return usagef("give the payload with --text, --json or --file")
	}
	if c.Wait > 0 {
		r.Wait = c.Wait.String()
	}
	api, err := c.client(c.Product)
	if err != nil {
		return err
	}
	rep, err := api.Push(ctx, r)
	if err != nil {
		return err
	}
	failed := 0
	for _, x := range rep.Results {
		if x.Error != nil {
			failed++
			fmt.Fprintf(s.out, "%s\tfailed\t%s: %s\n", x.Device, x.Error.Code, x.Error.Message)
			continue
		}
		if c.Wait > 0 && x.State != "acked" {
			failed++
		}
		fmt.Fprintf(s.out, "%s\t%s\t%d\t%s\n", x.Device, x.State, x.Seq, rep.ID)
	}
	switch {
	case failed > 0 && c.Wait > 0:
		return fmt.Errorf("%d of %d devices did not acknowledge within %s; what is stored is delivered later", failed, len(rep.Results), c.Wait)
	case failed > 0:
		return fmt.Errorf("%d of %d devices were refused", failed, len(rep.Results))
	}
	return nil
}

func readFile(name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(os.Stdin)
	}
	return os.ReadFile(name)
}
