package center

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"longlink/pkg/code"
	"longlink/pkg/wire"
)

// queryOf reads the query of a request for a route that knows the parameters
// named; any other one is refused, and what is given twice.
func queryOf(r *http.Request, known []string) (url.Values, *code.Error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, code.Errorf(code.Malformed, "the query in the URL cannot be read")
	}
	for name, values := range query {
		switch {
		case !slices.Contains(known, name):
			return nil, code.Invalid(shorten(name), "there is no such query parameter here, %s", knownOnes(known))
		case len(values) > 1:
			return nil, code.Invalid(name, "is given twice")
		}
	}
	return query, nil
}

func knownOnes(names []string) string {
	if len(names) == 0 {
		return "this call takes none"
	}
	return "this call takes " + strings.Join(names, ", ")
}

// limit is the query's limit; 0 where there is none.
func (r *request) limit() (uint32, *code.Error) {
	text := r.query.Get("limit")
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil || n == 0 {
		return 0, errPage()
	}
	return uint32(n), nil
}

// pageSize is how many entries a page has whose request gives this limit; 0:
// none given.
func pageSize(limit uint32) (int, *code.Error) {
	switch {
	case limit == 0:
		return defaultPage, nil
	case limit > maxPage:
		return 0, errPage()
	}
	return int(limit), nil
}

func errPage() *code.Error { return code.Invalid("limit", "must be between 1 and %d", maxPage) }

// checkCursor checks a cursor that is the id at which the page before ended.
func checkCursor(cursor string) *code.Error {
	if cursor != "" && !wire.ValidName(cursor) {
		return code.Invalid("cursor", "is not one that a list has given")
	}
	return nil
}
