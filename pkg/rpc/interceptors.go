package rpc

import (
	"context"
	"errors"
	"log/slog"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"longlink/pkg/code"
	"longlink/pkg/lifecycle"
)

// interceptors are the doors of a server: request id in, panics and errors out.
type interceptors struct {
	log   *slog.Logger
	group *lifecycle.Group // for its Guard
}

func newInterceptors(log *slog.Logger, m *lifecycle.Metrics) interceptors {
	return interceptors{log, lifecycle.NewGroup(context.Background(), log, m)}
}

func (i interceptors) unaryServer(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (resp any, err error) {
	ctx = incoming(ctx)
	err = i.group.Guard("rpc", func() error {
		var herr error
		resp, herr = handler(ctx, req)
		return herr
	})
	if err != nil && !logged(err) && ctx.Err() == nil && i.log != nil {
		i.log.Error("call failed", "method", info.FullMethod, "request_id", RequestID(ctx), "err", err)
	}
	return resp, toStatus(err)
}

// logged is true for answers, which are no faults, and for panics, which the
// guard logs with their stack.
func logged(err error) bool {
	var ce *code.Error
	var pe *lifecycle.PanicError
	return errors.As(err, &ce) || errors.As(err, &pe)
}

func (i interceptors) streamServer(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	err := i.group.Guard("rpc", func() error { return handler(srv, ss) })
	if err != nil && !logged(err) && ss.Context().Err() == nil && i.log != nil {
		i.log.Warn("stream ended", "method", info.FullMethod, "err", err)
	}
	return toStatus(err)
}

func unaryClient(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	var at peer.Peer
	err := invoker(outgoing(ctx), method, req, reply, cc, append(opts, grpc.Peer(&at))...)
	if at.Addr == nil && status.Code(err) == codes.Unavailable {
		return &UnsentError{err} // no connection was ever chosen for the call
	}
	return err
}
