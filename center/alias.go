package center

import (
	"context"

	"longlink/pkg/api"
	"longlink/pkg/code"
	"longlink/pkg/slot"
)

// AddAlias implements api.CenterServer: the device is one of the alias' from
// now on. A repetition changes nothing.
func (s *server) AddAlias(ctx context.Context, r *api.SetAliasDeviceRequest) (*api.SetAliasDeviceReply, error) {
	return s.setAlias(ctx, r, false)
}

// RemoveAlias implements api.CenterServer: the device is none of the alias' any
// more. What was pushed to it stays in its lane.
func (s *server) RemoveAlias(ctx context.Context, r *api.SetAliasDeviceRequest) (*api.SetAliasDeviceReply, error) {
	return s.setAlias(ctx, r, true)
}

func (s *server) setAlias(ctx context.Context, r *api.SetAliasDeviceRequest, remove bool) (*api.SetAliasDeviceReply, error) {
	product, err := s.productFor(ctx, r.Product)
	if err != nil {
		return nil, err
	}
	if err := checkID("alias", r.Alias); err != nil {
		return nil, err
	}
	if err := checkID("device", r.Device); err != nil {
		return nil, err
	}
	var rep *api.SetAliasReply
	err = s.askSaver(ctx, slot.Of(r.Alias), func(ctx context.Context, c api.SaverClient) (err error) {
		rep, err = c.SetAlias(ctx, &api.SetAliasRequest{Product: product, Alias: r.Alias, Device: r.Device, Remove: remove})
		return err
	})
	if err != nil {
		return nil, err
	}
	return &api.SetAliasDeviceReply{Changed: rep.Changed}, nil
}

// GetAlias implements api.CenterServer: the devices of an alias by id, limit at
// a time; the cursor is the last device of the page before. An alias that nobody
// has made has none.
func (s *server) GetAlias(ctx context.Context, r *api.GetAliasRequest) (*api.Alias, error) {
	product, err := s.productFor(ctx, r.Product)
	if err != nil {
		return nil, err
	}
	if err := checkID("alias", r.Alias); err != nil {
		return nil, err
	}
	if err := checkCursor(r.Cursor); err != nil {
		return nil, err
	}
	limit, err := pageSize(r.Limit)
	if err != nil {
		return nil, err
	}
	rep, err := s.listAlias(ctx, &api.ListAliasRequest{Product: product, Alias: r.Alias, After: r.Cursor, Limit: uint32(limit)})
	if err != nil {
		return nil, err
	}
	out := &api.Alias{Product: product, Alias: r.Alias}
	for _, d := range rep.Devices {
		out.Devices = append(out.Devices, &api.AliasMember{Device: d.Device, CreatedMs: d.CreatedMs})
	}
	if n := len(out.Devices); rep.More && n > 0 {
		out.NextCursor = out.Devices[n-1].Device
	}
	return out, nil
}

func (s *server) listAlias(ctx context.Context, r *api.ListAliasRequest) (rep *api.ListAliasReply, err *code.Error) {
	err = s.askSaver(ctx, slot.Of(r.Alias), func(ctx context.Context, c api.SaverClient) (err error) {
		rep, err = c.ListAlias(ctx, r)
		return err
	})
	return rep, err
}

type aliasChange struct {
	Changed bool `json:"changed"`
}

type aliasAnswer struct {
	Product    string        `json:"product"`
	Alias      string        `json:"alias"`
	Devices    []aliasDevice `json:"devices"`
	NextCursor string        `json:"next_cursor,omitempty"`
}

type aliasDevice struct {
	Device  string `json:"device"`
	Created string `json:"created"`
}

func answerAlias(a *api.Alias) aliasAnswer {
	out := aliasAnswer{a.GetProduct(), a.GetAlias(), make([]aliasDevice, len(a.GetDevices())), a.GetNextCursor()}
	for i, d := range a.GetDevices() {
		out.Devices[i] = aliasDevice{d.Device, timestamp(d.CreatedMs)}
	}
	return out
}

func (s *server) restAddAlias(ctx context.Context, r *request) (any, error) {
	return restSetAlias(ctx, r, s.AddAlias)
}

func (s *server) restRemoveAlias(ctx context.Context, r *request) (any, error) {
	return restSetAlias(ctx, r, s.RemoveAlias)
}

func restSetAlias(ctx context.Context, r *request, set func(context.Context, *api.SetAliasDeviceRequest) (*api.SetAliasDeviceReply, error)) (any, error) {
	if err := r.optional(&struct{}{}); err != nil {
		return nil, err
	}
	rep, err := set(ctx, &api.SetAliasDeviceRequest{Product: r.query.Get("product"), Alias: r.path("alias"), Device: r.path("device")})
	if err != nil {
		return nil, err
	}
	return aliasChange{rep.Changed}, nil
}

func (s *server) restAlias(ctx context.Context, r *request) (any, error) {
	limit, cerr := r.limit()
	if cerr != nil {
		return nil, cerr
	}
	a, err := s.GetAlias(ctx, &api.GetAliasRequest{Product: r.query.Get("product"), Alias: r.path("alias"), Limit: limit, Cursor: r.query.Get("cursor")})
	if err != nil {
		return nil, err
	}
	return answerAlias(a), nil
}
