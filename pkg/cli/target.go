package cli

import (
	"errors"
	"io/fs"
	"os"

	"longlink/pkg/client"
	"longlink/pkg/datadir"
)

// target is how a client command finds the gateway: flags, then LONGLINK_CENTER
// and LONGLINK_API_KEY, then what a local gateway left in its data directory.
type target struct {
	Data   string `help:"Data directory of a local gateway." default:"data" placeholder:"DIR"`
	Center string `help:"Center's URL (default: LONGLINK_CENTER, else the local gateway's)." placeholder:"URL"`
	APIKey string `name:"api-key" help:"API key (default: LONGLINK_API_KEY, else the local gateway's)." placeholder:"KEY"`
}

func (t target) dir() datadir.Dir { return datadir.Dir(t.Data) }

// client makes the API client; key names the local key file to use when no key
// is given: operator or a product.
func (t target) client(key string) (*client.Client, error) {
	base, apiKey := t.Center, t.APIKey
	if base == "" {
		base = os.Getenv("LONGLINK_CENTER")
	}
	if apiKey == "" {
		apiKey = os.Getenv("LONGLINK_API_KEY")
	}
	if base == "" {
		e, err := t.dir().Endpoints()
		if errors.Is(err, fs.ErrNotExist) {
			return nil, usagef("no gateway has run in %s; name its center with --center URL or its data directory with --data DIR", t.Data)
		}
		if err != nil {
			return nil, err
		}
		base = e.Center
	}
	if apiKey == "" {
		var err error
		if apiKey, err = t.dir().Key(key); errors.Is(err, fs.ErrNotExist) && key != "operator" {
			apiKey, err = t.dir().Key("operator")
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil, usagef("no API key: give --api-key KEY or LONGLINK_API_KEY, or name the gateway's data directory with --data DIR")
		} else if err != nil {
			return nil, err
		}
	}
	c, err := client.New(client.Config{Center: base, APIKey: apiKey})
	if err != nil {
		return nil, errUsage{err}
	}
	return c, nil
}
