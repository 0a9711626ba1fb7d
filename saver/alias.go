package saver

import (
	"context"

	"longlink/pkg/api"
	"longlink/pkg/code"
	"longlink/pkg/wire"
	"longlink/saver/ledger"
)

// Limits of aliases. Who wants to reach more devices by one name uses a tag and
// a broadcast, which costs nothing per device.
const (
	aliasDevices   = 1000 // of one alias; a push takes as many
	aliasesADevice = 16   // in one product
)

func checkAlias(product, alias string) *code.Error {
	if !wire.ValidName(product) {
		return code.Invalid("product", "must be 1 to 64 of A-Z a-z 0-9 . _ ~ -")
	}
	if !wire.ValidName(alias) {
		return code.Invalid("alias", "must be 1 to 64 of A-Z a-z 0-9 . _ ~ -")
	}
	return nil
}

// setAlias adds a device to an alias or takes it out. It may be repeated.
func (s *Saver) setAlias(ctx context.Context, q *api.SetAliasRequest) (*api.SetAliasReply, *code.Error) {
	if e := checkAlias(q.Product, q.Alias); e != nil {
		return nil, e
	}
	if !wire.ValidName(q.Device) {
		return nil, code.Invalid("device", "must be 1 to 64 of A-Z a-z 0-9 . _ ~ -")
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Ledger.Timeout.Std())
	defer cancel()
	if q.Remove {
		removed, err := s.ledger.RemoveAlias(ctx, q.Product, q.Alias, q.Device)
		if err != nil {
			return nil, s.noLedger(ctx, err, "the ledger did not answer; the device may be removed, repeat the call")
		}
		s.troubles.rare.fine()
		return &api.SetAliasReply{Changed: removed}, nil
	}
	added, err := s.ledger.AddAlias(ctx, q.Product, q.Alias, q.Device, ledger.AliasLimits{Devices: aliasDevices, Aliases: aliasesADevice})
	if err != nil {
		return nil, s.noLedger(ctx, err, "the ledger did not answer; the device may be added, repeat the call")
	}
	s.troubles.rare.fine()
	switch added {
	case ledger.AliasFull:
		return nil, code.Errorf(code.FailedPrecondition, "the alias has %d devices, and no more are taken; use a tag and a broadcast", aliasDevices).WithField("alias")
	case ledger.AliasMany:
		return nil, code.Errorf(code.FailedPrecondition, "the device has %d aliases in this product, and no more are taken; remove one", aliasesADevice).WithField("device")
	}
	return &api.SetAliasReply{Changed: added == ledger.AliasNew}, nil
}

// listAlias reads a page of an alias' devices, by id; limit 0: the most.
func (s *Saver) listAlias(ctx context.Context, q *api.ListAliasRequest) (*api.ListAliasReply, *code.Error) {
	if e := checkAlias(q.Product, q.Alias); e != nil {
		return nil, e
	}
	if q.After != "" && !wire.ValidName(q.After) {
		return nil, code.Invalid("after", "must be the last device id of the page before")
	}
	limit := int(q.Limit)
	if limit == 0 {
		limit = aliasDevices
	}
	if q.Limit > aliasDevices {
		return nil, code.Invalid("limit", "must be 1 to %d", aliasDevices)
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Ledger.Timeout.Std())
	defer cancel()
	devices, err := s.ledger.AliasDevices(ctx, q.Product, q.Alias, q.After, limit+1)
	if err != nil {
		return nil, s.noLedger(ctx, err, "the ledger cannot be reached")
	}
	s.troubles.rare.fine()
	rep := &api.ListAliasReply{More: len(devices) > limit}
	for _, d := range devices[:min(limit, len(devices))] {
		rep.Devices = append(rep.Devices, &api.AliasDevice{Device: d.Device, CreatedMs: d.CreatedMS})
	}
	return rep, nil
}
