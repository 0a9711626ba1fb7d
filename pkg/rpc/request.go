package rpc

import (
	"context"
	"time"

	"github.com/oklog/ulid/v2"
	"google.golang.org/grpc/metadata"

	"longlink/pkg/api"
)

type requestKey struct{}

// requestHeader carries the request id of unary calls.
const requestHeader = "longlink-request-id"

// NewRequestID makes an id for a request that came without one.
func NewRequestID() string { return ulid.Make().String() }

// WithRequestID puts the id that log lines and calls to other services carry.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestKey{}, id)
}

// RequestID is the id in ctx, "" when there is none.
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestKey{}).(string)
	return id
}

// NewMeta is the Meta of an item that belongs to ctx's request. Callers of a
// Caller need not fill remaining time: the Caller does when the batch leaves.
func NewMeta(ctx context.Context) *api.Meta { return &api.Meta{RequestId: RequestID(ctx)} }

// MetaContext is the context in which one item of a batch is handled: its
// request id, and its deadline when it has one.
func MetaContext(ctx context.Context, m *api.Meta) (context.Context, context.CancelFunc) {
	if m.GetRequestId() != "" {
		ctx = WithRequestID(ctx, m.RequestId)
	}
	if ms := m.GetRemainingMs(); ms > 0 {
		return context.WithTimeout(ctx, millis(ms))
	}
	return ctx, func() {}
}

func millis[T ~uint32 | ~int64](ms T) time.Duration { return time.Duration(ms) * time.Millisecond }

func outgoing(ctx context.Context) context.Context {
	if id := RequestID(ctx); id != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, requestHeader, id)
	}
	return ctx
}

func incoming(ctx context.Context) context.Context {
	if md, ok := metadata.FromIncomingContext(ctx); ok {
		if ids := md.Get(requestHeader); len(ids) > 0 {
			return WithRequestID(ctx, ids[0])
		}
	}
	return ctx
}
