package app

import (
	"context"
	"fmt"
	"slices"
	"time"

	"longlink/keeper"
	"longlink/pkg/cluster"
	"longlink/pkg/token"
)

// runClient connects to etcd, makes what the cluster needs once, and follows
// it.
func (p *process) runClient(ctx context.Context, ready func()) error {
	var err error
	p.keeper, err = keeper.Connect(ctx, p.Config.Keeper, keeper.Options{Member: p.member, Log: p.log, Registry: p.reg, Life: p.life})
	if err != nil {
		return err
	}
	if slices.Contains(p.Kinds, cluster.Keeper) {
		if err := p.bootstrap(ctx); err != nil {
			p.keeper.Close()
			return err
		}
	}
	return p.keeper.Run(ctx, ready)
}

// bootstrap makes the token secret, the operator's key and the demo product,
// where they are missing.
func (p *process) bootstrap(ctx context.Context) error {
	b := keeper.Bootstrap{OperatorKey: p.Config.Cluster.OperatorKey}
	var err error
	if p.Embedded {
		if err = p.keeper.Bury(ctx, inprocPrefix); err != nil {
			return fmt.Errorf("the registry of the last start cannot be cleared: %w", err)
		}
		if b.OperatorKey == "" {
			if b.OperatorKey, err = p.Data.EnsureKey("operator", func() string { k, _ := token.NewOperatorKey(time.Now()); return k }); err != nil {
				return fmt.Errorf("operator.key: %w", err)
			}
		}
		if b.DemoKey, err = p.Data.EnsureKey("demo", func() string { k, _ := token.NewKey(time.Now()); return k }); err != nil {
			return fmt.Errorf("demo.key: %w", err)
		}
	}
	if err := p.keeper.Bootstrap(ctx, b); err != nil {
		return fmt.Errorf("cluster.operator_key: %w", err)
	}
	return nil
}
