package cli

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"longlink/pkg/client"
)

type servicesCmd struct {
	target
	listFlags
}

// Help is the example below the flags.
func (servicesCmd) Help() string { return "Example:\n  longlink services" }

// Run prints one line an instance.
func (c *servicesCmd) Run(ctx context.Context, s streams) error {
	api, err := c.client(operator)
	if err != nil {
		return err
	}
	list, err := api.Services(ctx)
	if err != nil {
		return err
	}
	return printList(s.out, c.listFlags, "service", "KIND\tID\tSTATE\tVERSION\tADDRESSES\tLOAD", list, func(i client.Service) []string {
		addr := strings.Join(i.Addresses, ",")
		if addr == "" {
			addr = i.RPC
		}
		return []string{i.Kind, i.ID, i.State, i.Version, addr, load(i.Figures)}
	})
}

// load is figures by name.
func load(figures map[string]float64) string {
	var out []string
	for name, n := range figures {
		out = append(out, fmt.Sprintf("%s=%g", name, n))
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

type roomsCmd struct {
	target
	listFlags
}

// Help is the example below the flags.
func (roomsCmd) Help() string { return "Example:\n  longlink rooms" }

// Run prints one line a room.
func (c *roomsCmd) Run(ctx context.Context, s streams) error {
	api, err := c.client(operator)
	if err != nil {
		return err
	}
	list, err := api.Rooms(ctx)
	if err != nil {
		return err
	}
	return printList(s.out, c.listFlags, "room", "ID\tSTATE\tVERSION\tIDC\tADDRESSES\tCAPACITY\tSTARTED\tLOAD", list, func(r client.Room) []string {
		return []string{r.ID, r.State, r.Version, dash(r.IDC), dash(strings.Join(r.Addresses, ",")), strconv.Itoa(r.Capacity), dash(r.Started), load(r.Figures)}
	})
}
