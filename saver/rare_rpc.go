package saver

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"longlink/pkg/api"
	"longlink/pkg/code"
)

// Recall implements api.SaverServer.
func (d *door) Recall(ctx context.Context, q *api.RecallRequest) (*api.RecallReply, error) {
	return rare(d.s, func(result string) prometheus.Counter { return d.s.metrics.recalls.WithLabelValues(result) },
		func() (*api.RecallReply, *code.Error) { return d.s.recall(ctx, q) })
}

// Find implements api.SaverServer.
func (d *door) Find(ctx context.Context, q *api.FindRequest) (*api.FindReply, error) {
	return rare(d.s, d.count("find"), func() (*api.FindReply, *code.Error) { return d.s.find(ctx, q) })
}

// SetAlias implements api.SaverServer.
func (d *door) SetAlias(ctx context.Context, q *api.SetAliasRequest) (*api.SetAliasReply, error) {
	return rare(d.s, d.count("set_alias"), func() (*api.SetAliasReply, *code.Error) { return d.s.setAlias(ctx, q) })
}

// ListAlias implements api.SaverServer.
func (d *door) ListAlias(ctx context.Context, q *api.ListAliasRequest) (*api.ListAliasReply, error) {
	return rare(d.s, d.count("list_alias"), func() (*api.ListAliasReply, *code.Error) { return d.s.listAlias(ctx, q) })
}

func (d *door) count(call string) func(result string) prometheus.Counter {
	return func(result string) prometheus.Counter { return d.s.metrics.calls.WithLabelValues(call, result) }
}
