package cli

import (
	"context"
	"strconv"
	"strings"

	"longlink/pkg/client"
)

type statusCmd struct {
	target
	listFlags
	Devices []string `arg:"" name:"device" help:"Devices to look up (100 at most)."`
}

// Help is the example below the flags.
func (statusCmd) Help() string { return "Example:\n  longlink status phone-1 phone-2" }

// Run prints one line a device and product.
func (c *statusCmd) Run(ctx context.Context, s streams) error {
	api, err := c.client(operator)
	if err != nil {
		return err
	}
	devices, err := api.Devices(ctx, c.Devices...)
	if err != nil {
		return err
	}
	return printList(s.out, c.listFlags, "device", "DEVICE\tSTATE\tROOM\tSINCE\tNETWORK\tPRODUCT\tTAGS\tPENDING", devices, deviceLine)
}

// deviceLine has a line for each product of the device.
func deviceLine(d client.Device) []string {
	head := strings.Join([]string{d.Device, d.State, dash(d.Room), dash(d.Since), dash(d.Network)}, "\t")
	if len(d.Bindings) == 0 {
		return []string{head, "-", "-", "-"}
	}
	var lines []string
	for _, b := range d.Bindings {
		lines = append(lines, strings.Join([]string{head, b.Product, dash(strings.Join(b.Tags, ",")), strconv.FormatUint(b.Pending, 10)}, "\t"))
	}
	return []string{strings.Join(lines, "\n")}
}
