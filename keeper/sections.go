package keeper

import (
	"context"
	"maps"
	"strings"
	"sync"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"longlink/pkg/code"
	"longlink/pkg/wire"
)

// MaxSection is the most bytes of a config section in keeper.
const MaxSection = 256 << 10

// AnyRevision lets PutSection overwrite whatever is there.
const AnyRevision = -1

// section is one config section, YAML text that keeper does not read.
type section struct {
	text     string
	revision int64
}

// sections is the live copy of the config sections.
type sections struct {
	follower *follower[section]
	metrics  *metrics

	mu      sync.Mutex
	all     map[string]string // by name
	changed chan struct{}
}

func newSections(c *Client) *sections {
	s := &sections{metrics: c.metrics, changed: make(chan struct{})}
	s.follower = newFollower(c, configPrefix, func(kv *mvccpb.KeyValue) (section, error) {
		return section{string(kv.Value), kv.ModRevision}, nil
	}, s.set)
	return s
}

func (s *sections) set(_ int64, all map[string]section) {
	texts := make(map[string]string, len(all))
	var newest int64
	for key, sec := range all {
		texts[strings.TrimPrefix(key, configPrefix)] = sec.text
		newest = max(newest, sec.revision)
	}
	s.metrics.sections.Set(float64(newest))
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all != nil && maps.Equal(s.all, texts) {
		return
	}
	s.all = texts
	close(s.changed)
	s.changed = make(chan struct{})
}

// Sections are the config sections in keeper, YAML text by name, and a channel
// that is closed when they differ from these. The map is shared and must not be
// changed.
func (c *Client) Sections() (map[string]string, <-chan struct{}) {
	c.sections.mu.Lock()
	defer c.sections.mu.Unlock()
	return c.sections.all, c.sections.changed
}

// GetSection reads one section from etcd: NOT_FOUND, UNAVAILABLE.
func (c *Client) GetSection(ctx context.Context, name string) (text string, revision int64, err error) {
	if !wire.ValidName(name) {
		return "", 0, code.Invalid("section", "must be 1 to 64 characters A-Z a-z 0-9 . _ ~ -")
	}
	resp, err := c.get(ctx, configPrefix+name)
	if err != nil {
		return "", 0, err
	}
	if len(resp.Kvs) == 0 {
		return "", 0, code.Errorf(code.NotFound, "keeper has no config section %s", name)
	}
	return string(resp.Kvs[0].Value), resp.Kvs[0].ModRevision, nil
}

// PutSection writes one section if its revision is still the given one: 0 for
// none yet, or AnyRevision. It returns the new revision. Errors: CONFLICT,
// INVALID_ARGUMENT, UNAVAILABLE.
func (c *Client) PutSection(ctx context.Context, name, text string, revision int64) (int64, error) {
	switch {
	case !wire.ValidName(name):
		return 0, code.Invalid("section", "must be 1 to 64 characters A-Z a-z 0-9 . _ ~ -")
	case len(text) > MaxSection:
		return 0, code.Invalid("text", "a section has at most %d bytes, this one has %d", MaxSection, len(text))
	}
	key := configPrefix + name
	var cmps []clientv3.Cmp
	if revision != AnyRevision {
		cmps = append(cmps, clientv3.Compare(clientv3.ModRevision(key), "=", revision))
	}
	resp, err := c.txn(ctx, cmps, clientv3.OpPut(key, text))
	if err != nil {
		return 0, err
	}
	if !resp.Succeeded {
		return 0, code.Errorf(code.Conflict, "section %s was changed meanwhile: read it again", name)
	}
	c.settle(ctx, c.sections.follower, resp.Header.Revision)
	return resp.Header.Revision, nil
}
