package client

import (
	"context"
	"net/url"
)

// Room is one room of the fleet.
type Room struct {
	ID        string             `json:"id"`
	State     string             `json:"state"` // ready, draining, held
	Version   string             `json:"version"`
	IDC       string             `json:"idc,omitempty"`
	Addresses []string           `json:"addresses,omitempty"`
	Capacity  int                `json:"capacity,omitempty"` // connections it is configured for; 0: not said
	Figures   map[string]float64 `json:"figures,omitempty"`  // such as connections
	Started   string             `json:"started,omitempty"`
}

// Rooms lists the rooms by id, page by page (operator's key).
func (c *Client) Rooms(ctx context.Context) ([]Room, error) {
	var all []Room
	err := c.pages(ctx, "/v1/rooms", url.Values{}, func(get func(any) error) (string, error) {
		var out struct {
			Rooms      []Room `json:"rooms"`
			NextCursor string `json:"next_cursor"`
		}
		err := get(&out)
		all = append(all, out.Rooms...)
		return out.NextCursor, err
	})
	return all, err
}
