package client

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
)

// pageSize is asked for in lists.
const pageSize = "100"

// pages walks a list. next reads one page with get and returns its next_cursor,
// empty at the end.
func (c *Client) pages(ctx context.Context, path string, q url.Values, next func(get func(out any) error) (cursor string, err error)) error {
	q.Set("limit", pageSize)
	for cursor := ""; ; {
		after, err := next(func(out any) error {
			return c.call(ctx, http.MethodGet, path+"?"+q.Encode(), nil, out, true)
		})
		if err != nil || after == "" {
			return err
		}
		if after == cursor {
			return fmt.Errorf("center's list %s does not get on: its next page has the same cursor again", path)
		}
		cursor = after
		q.Set("cursor", cursor)
	}
}
