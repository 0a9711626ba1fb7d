package rpc

import (
	"context"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"longlink/pkg/api"
)

// Exchange sends one batch and waits for its results, in the items' order. An
// UnsentError says that the other side has not seen the batch.
type Exchange[I, R any] func(h *api.BatchHeader, items []I) ([]R, error)

// UnsentError is the failure of a call that the other side has not seen: of a
// stream that had ended before the batch left, or of a unary call for which
// there was no connection.
type UnsentError struct{ Err error }

// Error is why it was not sent.
func (e *UnsentError) Error() string { return e.Err.Error() }

// Unwrap implements errors.Unwrap.
func (e *UnsentError) Unwrap() error { return e.Err }

// GRPCStatus is that of what it wraps.
func (e *UnsentError) GRPCStatus() *status.Status { return status.Convert(e.Err) }

// Method opens the stream of one hot call.
type Method[I, R any] func(ctx context.Context, cc grpc.ClientConnInterface) (Exchange[I, R], error)

type reply[R any] interface {
	GetNumber() uint64
	GetResults() []R
}

// exchange makes an Exchange of a bidi stream: strictly one batch in flight.
func exchange[Req, Rep, I, R any](s grpc.BidiStreamingClient[Req, Rep], err error, batch func(*api.BatchHeader, []I) *Req) (Exchange[I, R], error) {
	if err != nil {
		return nil, err
	}
	return func(h *api.BatchHeader, items []I) ([]R, error) {
		if err := s.Context().Err(); err != nil {
			return nil, &UnsentError{err}
		}
		if err := s.Send(batch(h, items)); err != nil {
			if !isEOF(err) { // ended while it was being sent
				return nil, err
			}
			if _, rerr := s.Recv(); rerr != nil { // says why it ended
				err = rerr
			}
			return nil, &UnsentError{err}
		}
		rep, err := s.Recv()
		if err != nil {
			return nil, err
		}
		r, ok := any(rep).(reply[R])
		if !ok || r.GetNumber() != h.Number || len(r.GetResults()) != len(items) {
			return nil, fmt.Errorf("batch %d of %d items was answered out of step", h.Number, len(items))
		}
		return r.GetResults(), nil
	}, nil
}

// The hot calls.
var (
	Append Method[*api.AppendItem, *api.AppendResult] = func(ctx context.Context, cc grpc.ClientConnInterface) (Exchange[*api.AppendItem, *api.AppendResult], error) {
		s, err := api.NewSaverClient(cc).Append(ctx)
		return exchange[api.AppendBatch, api.AppendReply, *api.AppendItem, *api.AppendResult](s, err, func(h *api.BatchHeader, items []*api.AppendItem) *api.AppendBatch {
			return &api.AppendBatch{Header: h, Items: items}
		})
	}
	Load Method[*api.LoadItem, *api.LoadResult] = func(ctx context.Context, cc grpc.ClientConnInterface) (Exchange[*api.LoadItem, *api.LoadResult], error) {
		s, err := api.NewSaverClient(cc).Load(ctx)
		return exchange[api.LoadBatch, api.LoadReply, *api.LoadItem, *api.LoadResult](s, err, func(h *api.BatchHeader, items []*api.LoadItem) *api.LoadBatch {
			return &api.LoadBatch{Header: h, Items: items}
		})
	}
	Ack Method[*api.AckItem, *api.AckResult] = func(ctx context.Context, cc grpc.ClientConnInterface) (Exchange[*api.AckItem, *api.AckResult], error) {
		s, err := api.NewSaverClient(cc).Ack(ctx)
		return exchange[api.AckBatch, api.AckReply, *api.AckItem, *api.AckResult](s, err, func(h *api.BatchHeader, items []*api.AckItem) *api.AckBatch {
			return &api.AckBatch{Header: h, Items: items}
		})
	}
	// Up carries upstream data from a room to a coordinator, Upstream from there
	// to a saver.
	Up Method[*api.UpItem, *api.UpResult] = func(ctx context.Context, cc grpc.ClientConnInterface) (Exchange[*api.UpItem, *api.UpResult], error) {
		s, err := api.NewCoordinatorClient(cc).Up(ctx)
		return exchange[api.UpstreamBatch, api.UpstreamReply, *api.UpItem, *api.UpResult](s, err, upstreamBatch)
	}
	Upstream Method[*api.UpItem, *api.UpResult] = func(ctx context.Context, cc grpc.ClientConnInterface) (Exchange[*api.UpItem, *api.UpResult], error) {
		s, err := api.NewSaverClient(cc).Upstream(ctx)
		return exchange[api.UpstreamBatch, api.UpstreamReply, *api.UpItem, *api.UpResult](s, err, upstreamBatch)
	}
	UpdateSessions Method[*api.SessionItem, *api.SessionResult] = func(ctx context.Context, cc grpc.ClientConnInterface) (Exchange[*api.SessionItem, *api.SessionResult], error) {
		s, err := api.NewRegisterClient(cc).Update(ctx)
		return exchange[api.SessionBatch, api.SessionReply, *api.SessionItem, *api.SessionResult](s, err, func(h *api.BatchHeader, items []*api.SessionItem) *api.SessionBatch {
			return &api.SessionBatch{Header: h, Items: items}
		})
	}
	Locate Method[*api.LocateItem, *api.LocateResult] = func(ctx context.Context, cc grpc.ClientConnInterface) (Exchange[*api.LocateItem, *api.LocateResult], error) {
		s, err := api.NewRegisterClient(cc).Locate(ctx)
		return exchange[api.LocateBatch, api.LocateReply, *api.LocateItem, *api.LocateResult](s, err, func(h *api.BatchHeader, items []*api.LocateItem) *api.LocateBatch {
			return &api.LocateBatch{Header: h, Items: items}
		})
	}
	Deliver Method[*api.DeliverItem, *api.DeliverResult] = func(ctx context.Context, cc grpc.ClientConnInterface) (Exchange[*api.DeliverItem, *api.DeliverResult], error) {
		s, err := api.NewRoomClient(cc).Deliver(ctx)
		return exchange[api.DeliverBatch, api.DeliverReply, *api.DeliverItem, *api.DeliverResult](s, err, func(h *api.BatchHeader, items []*api.DeliverItem) *api.DeliverBatch {
			return &api.DeliverBatch{Header: h, Items: items}
		})
	}
)

func upstreamBatch(h *api.BatchHeader, items []*api.UpItem) *api.UpstreamBatch {
	return &api.UpstreamBatch{Header: h, Items: items}
}

// batchRequest is a batch of any hot call on the serving side.
type batchRequest[I any] interface {
	GetHeader() *api.BatchHeader
	GetItems() []I
}

// ServeBatches answers a hot stream batch by batch until it ends. handle gets
// the items in order and returns as many results.
func ServeBatches[Req, Rep, I, R any](s grpc.BidiStreamingServer[Req, Rep], rep func(number uint64, results []R) *Rep, handle func(ctx context.Context, h *api.BatchHeader, items []I) []R) error {
	for {
		req, err := s.Recv()
		if err != nil {
			if s.Context().Err() != nil || isEOF(err) {
				return nil
			}
			return err
		}
		b, ok := any(req).(batchRequest[I])
		if !ok {
			return fmt.Errorf("%T is not a batch", req)
		}
		results := handle(s.Context(), b.GetHeader(), b.GetItems())
		if err := s.Send(rep(b.GetHeader().GetNumber(), results)); err != nil {
			return err
		}
	}
}
