package dispatcher

import (
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"longlink/pkg/code"
	"longlink/pkg/wire"
)

const (
	transportTCP = "tcp"
	maxFailed    = 32
	maxAddress   = 300 // a DNS name of 253 bytes, a port, brackets
)

var networks = []string{"", "wifi", "wired", "5g", "4g", "3g", "2g"}

// query is what a device asks.
type query struct {
	device  string
	network string
	failed  []string
}

// parseQuery reads the parameters; the error names the one that is wrong.
func parseQuery(raw string) (q query, _ *code.Error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return q, code.Invalid("query", "cannot be read: write %% as %%25, & as %%26, and no semicolons")
	}
	q.device, q.network = values.Get("device"), values.Get("network")
	switch {
	case q.device == "":
		return q, code.Invalid("device", "is missing: the device's id")
	case !wire.ValidName(q.device):
		return q, code.Invalid("device", "must be 1 to 64 characters A-Z a-z 0-9 . _ ~ -")
	case !slices.Contains(networks, q.network):
		return q, code.Invalid("network", "must be one of %s, or left out", strings.Join(networks[1:], ", "))
	}
	if t := values.Get("transport"); t != "" && t != transportTCP {
		return q, code.Invalid("transport", "must be tcp, or left out")
	}
	for _, list := range values["failed"] {
		for a := range strings.SplitSeq(list, ",") {
			if a == "" {
				continue
			}
			if !validAddress(a) {
				return q, code.Invalid("failed", "must be addresses host:port, separated by commas")
			}
			if q.failed = append(q.failed, a); len(q.failed) > maxFailed {
				return q, code.Invalid("failed", "at most %d addresses: forget the oldest", maxFailed)
			}
		}
	}
	return q, nil
}

func validAddress(a string) bool {
	host, port, err := net.SplitHostPort(a)
	n, perr := strconv.ParseUint(port, 10, 16)
	return err == nil && perr == nil && n > 0 && host != "" && len(a) <= maxAddress
}
