package center

import (
	"context"

	"longlink/pkg/api"
	"longlink/pkg/cluster"
	"longlink/pkg/code"
	"longlink/pkg/rpc"
)

// askSaver makes a unary call that any saver answers, because it is about the
// ledger: at the owner of a slot, so that calls for one thing meet, or at
// another one while that does not answer. It is made once more after
// UNAVAILABLE, as when the saver died over it, so ask must be safe to repeat.
// Both within call_timeout.
func (s *server) askSaver(ctx context.Context, of uint16, ask func(ctx context.Context, c api.SaverClient) error) *code.Error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.CallTimeout.Std())
	defer cancel()
	err := s.askServing(ctx, of, ask)
	if err != nil && err.Code == code.Unavailable {
		err = s.askServing(ctx, of, ask)
	}
	return err
}

func (s *server) askServing(ctx context.Context, of uint16, ask func(ctx context.Context, c api.SaverClient) error) *code.Error {
	cc, err := s.deps.Peers.ToServing(cluster.Saver, of)
	if err == nil {
		err = ask(ctx, api.NewSaverClient(cc))
	}
	return rpc.FromStatus(err)
}
