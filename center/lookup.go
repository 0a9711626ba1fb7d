package center

import (
	"context"
	"sync/atomic"

	"longlink/pkg/api"
	"longlink/pkg/code"
)

// lookUp finds the devices of the pushes to aliases, each alias once, a few at
// once. A push whose alias cannot be had, or has no devices, is refused.
func (s *server) lookUp(ctx context.Context, pushes []*push) {
	type key struct{ product, alias string }
	waiting := map[key][]*push{}
	var keys []key
	for _, p := range pushes {
		if p.alias == "" {
			continue
		}
		k := key{p.product, p.alias}
		if waiting[k] == nil {
			keys = append(keys, k)
		}
		waiting[k] = append(waiting[k], p)
		p.refused = code.Errorf(code.Internal, "the alias was not looked up; the request id finds out why in the logs")
	}
	if len(keys) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.CallTimeout.Std())
	defer cancel()
	var found atomic.Int64
	s.each(ctx, "center.alias", len(keys), maxLookUps, func(ctx context.Context, i int) {
		var devices []string
		err := s.overBudget(int(found.Load()))
		if err == nil {
			devices, err = s.devicesOf(ctx, keys[i].product, keys[i].alias)
		}
		found.Add(int64(len(devices)))
		for _, p := range waiting[keys[i]] {
			p.devices, p.refused = devices, err
		}
	})
}

// overBudget refuses to look up more when the devices that a call has found are
// more than max_in_flight admits: they are held in memory.
func (s *server) overBudget(found int) *code.Error {
	if found <= s.cfg.MaxInFlight {
		return nil
	}
	return code.Errorf(code.RateLimited, "the aliases of this call have %d devices up to here, more than are taken at once; repeat this message", found)
}

// devicesOf are the devices of an alias at this moment, at most maxDevices.
func (s *server) devicesOf(ctx context.Context, product, alias string) (devices []string, err *code.Error) {
	req := &api.ListAliasRequest{Product: product, Alias: alias, Limit: maxPage}
	for {
		rep, err := s.listAlias(ctx, req)
		if err != nil {
			return nil, err
		}
		for _, d := range rep.Devices {
			devices = append(devices, d.Device)
		}
		switch {
		case len(devices) > maxDevices || rep.More && len(devices) == maxDevices:
			return nil, code.Errorf(code.TooManyTargets, "the alias has more than %d devices; spread them over several aliases", maxDevices).WithField("alias")
		case rep.More && len(rep.Devices) > 0:
			req.After = devices[len(devices)-1]
			continue
		case len(devices) == 0:
			return nil, code.Errorf(code.NotFound, "alias %s has no devices in product %s; add them, or sign it into their tokens", alias, product).WithField("alias")
		}
		return devices, nil
	}
}
