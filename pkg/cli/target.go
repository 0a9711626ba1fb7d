package cli

import (
	"errors"
	"io/fs"
	"os"
	"strings"

	"longlink/pkg/client"
	"longlink/pkg/datadir"
)

// target is how a client command finds the gateway: flags, then LONGLINK_CENTER
// and LONGLINK_API_KEY, then what a local gateway left in ./data.
type target struct {
	Data   string   `help:"Data directory of a local gateway (default: data)." placeholder:"DIR"`
	Center []string `help:"Center's URL; several may be given (default: LONGLINK_CENTER, else the local gateway's)." placeholder:"URL"`
	APIKey string   `name:"api-key" help:"API key (default: LONGLINK_API_KEY, else the local gateway's)." placeholder:"KEY"`
}

func (t target) dir() datadir.Dir {
	if t.Data == "" {
		return "data"
	}
	return datadir.Dir(t.Data)
}

// client makes the API client; key names the local key file to use when no key
// is given: operator or a product.
func (t target) client(key string) (*client.Client, error) {
	centers, apiKey, err := t.resolve(key)
	if err != nil {
		return nil, err
	}
	c, err := client.New(client.Config{Centers: centers, APIKey: apiKey})
	if err != nil {
		return nil, errUsage{err}
	}
	return c, nil
}

// resolve finds the centers and the key. A directory that was named comes before
// the environment, as every flag does, for what it holds.
func (t target) resolve(key string) (centers []string, apiKey string, err error) {
	centers = t.Center
	if len(centers) == 0 && t.Data == "" {
		centers = centersOf(os.Getenv("LONGLINK_CENTER"))
	}
	if len(centers) == 0 {
		e, err := t.dir().Endpoints()
		switch {
		case err == nil:
			centers = e.AllCenters()
		case !errors.Is(err, fs.ErrNotExist):
			return nil, "", err
		default:
			if centers = centersOf(os.Getenv("LONGLINK_CENTER")); len(centers) == 0 {
				return nil, "", usagef("no gateway has run in %s; name its center with --center URL or its data directory with --data DIR", t.dir())
			}
		}
	}
	apiKey, err = t.key(key)
	return centers, apiKey, err
}

func (t target) key(name string) (string, error) {
	env := os.Getenv("LONGLINK_API_KEY")
	switch {
	case t.APIKey != "":
		return t.APIKey, nil
	case env != "" && t.Data == "":
		return env, nil
	}
	key, err := t.dir().Key(name)
	if errors.Is(err, fs.ErrNotExist) && name != operator {
		key, err = t.dir().Key(operator)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if env != "" {
		return env, nil
	}
	return "", usagef("no API key: give --api-key KEY or LONGLINK_API_KEY, or name the gateway's data directory with --data DIR")
}

// operator is the name of the operator's key file.
const operator = "operator"

// keyOf names the key file for a command about a product, which may be empty.
func keyOf(product string) string {
	if product == "" {
		return operator
	}
	return product
}

// centersOf splits what the environment says.
func centersOf(list string) (urls []string) {
	for _, u := range strings.Split(list, ",") {
		if u = strings.TrimSpace(u); u != "" {
			urls = append(urls, u)
		}
	}
	return urls
}
