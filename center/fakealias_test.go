package center

import (
	"context"
	"maps"
	"slices"
	"strings"

	"longlink/pkg/api"
	"longlink/pkg/code"
)

// fakeAliases is what a fakeSaver has of aliases; guarded by its mu.
type fakeAliases struct {
	devices map[string]map[string]bool // product/alias to devices
	page    int                        // most devices of one page; 0: what is asked for
	lists   int                        // calls of ListAlias
	hold    chan struct{}              // while set: lists are answered when it is closed
}

func (f *fakeSaver) SetAlias(_ context.Context, r *api.SetAliasRequest) (*api.SetAliasReply, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down != nil {
		return nil, f.down
	}
	k := r.Product + "/" + r.Alias
	was := f.aliases.devices[k][r.Device]
	if r.Remove {
		delete(f.aliases.devices[k], r.Device)
	} else {
		f.alias(k, r.Device)
	}
	return &api.SetAliasReply{Changed: was == r.Remove}, nil
}

// alias adds devices; mu is held.
func (f *fakeSaver) alias(key string, devices ...string) {
	if f.aliases.devices == nil {
		f.aliases.devices = map[string]map[string]bool{}
	}
	if f.aliases.devices[key] == nil {
		f.aliases.devices[key] = map[string]bool{}
	}
	for _, d := range devices {
		f.aliases.devices[key][d] = true
	}
}

func (f *fakeSaver) ListAlias(ctx context.Context, r *api.ListAliasRequest) (*api.ListAliasReply, error) {
	f.mu.Lock()
	f.aliases.lists++
	hold := f.aliases.hold
	f.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down != nil {
		return nil, f.down
	}
	if r.Limit == 0 || r.Limit > 1000 {
		return nil, code.Invalid("limit", "must be between 1 and 1000")
	}
	limit := int(r.Limit)
	if f.aliases.page > 0 {
		limit = min(limit, f.aliases.page)
	}
	out := &api.ListAliasReply{}
	for _, d := range slices.Sorted(maps.Keys(f.aliases.devices[r.Product+"/"+r.Alias])) {
		if d <= r.After {
			continue
		}
		if len(out.Devices) == limit {
			out.More = true
			break
		}
		out.Devices = append(out.Devices, &api.AliasDevice{Device: d, CreatedMs: 1_700_000_000_000})
	}
	return out, nil
}

// Recall takes a message out of every lane; what was acknowledged counts as a
// target only.
func (f *fakeSaver) Recall(_ context.Context, r *api.RecallRequest) (*api.RecallReply, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down != nil {
		return nil, f.down
	}
	out := &api.RecallReply{}
	for lane, list := range f.lanes {
		for _, m := range list {
			if m.Message.Id != r.Id || r.Product != "" && !strings.HasSuffix(lane, "/"+r.Product) {
				continue
			}
			out.Targets++
			if m.Seq > f.acked[lane] {
				out.Recalled++
			}
		}
	}
	if out.Targets == 0 {
		return nil, code.Errorf(code.NotFound, "no row")
	}
	return out, nil
}
