package client

import (
	"context"
	"net/http"
	"net/url"
)

// AliasMember is a device of an alias.
type AliasMember struct {
	Device  string `json:"device"`
	Created string `json:"created"`
}

// AddAlias makes a device one of an alias; changed is false when it was before.
// Product may be empty with a product's key.
func (c *Client) AddAlias(ctx context.Context, product, alias, device string) (changed bool, err error) {
	return c.setAlias(ctx, http.MethodPut, product, alias, device)
}

// RemoveAlias takes a device out of an alias; changed is false when it was not
// in it.
func (c *Client) RemoveAlias(ctx context.Context, product, alias, device string) (changed bool, err error) {
	return c.setAlias(ctx, http.MethodDelete, product, alias, device)
}

func (c *Client) setAlias(ctx context.Context, method, product, alias, device string) (bool, error) {
	var out struct {
		Changed bool `json:"changed"`
	}
	path := "/v1/aliases/" + segment(alias) + "/devices/" + segment(device) + ofProduct(product)
	return out.Changed, c.call(ctx, method, path, nil, &out, true)
}

// Alias lists the devices of an alias, by id, page by page; an unknown alias has
// none.
func (c *Client) Alias(ctx context.Context, product, alias string) ([]AliasMember, error) {
	var all []AliasMember
	err := c.pages(ctx, "/v1/aliases/"+segment(alias), query("product", product), func(get func(any) error) (string, error) {
		var out struct {
			Devices    []AliasMember `json:"devices"`
			NextCursor string        `json:"next_cursor"`
		}
		err := get(&out)
		all = append(all, out.Devices...)
		return out.NextCursor, err
	})
	return all, err
}

// ofProduct is the query that names a product, or nothing.
func ofProduct(product string) string {
	if q := query("product", product); len(q) > 0 {
		return "?" + q.Encode()
	}
	return ""
}

// query is one parameter, left out when it is empty.
func query(name, value string) url.Values {
	q := url.Values{}
	if value != "" {
		q.Set(name, value)
	}
	return q
}
