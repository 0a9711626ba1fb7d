package client

import (
	"net/url"
	"strings"
)

// segment is an id as one part of a path. The ids . and .. would be taken for
// directories, so their dots are escaped too.
func segment(id string) string {
	if id == "." || id == ".." {
		return strings.ReplaceAll(id, ".", "%2E")
	}
	return url.PathEscape(id)
}
