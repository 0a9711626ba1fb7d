package rpc

import (
	"context"
	"errors"
	"log/slog"

	"google.golang.org/grpc"

	"longlink/pkg/code"
	"longlink/pkg/lifecycle"
)

// interceptors are the doors of a server: request id in, panics and errors out.
type interceptors struct {
	log     *slog.Logger
	metrics *lifecycle.Metrics
}

func (i interceptors) guard(name string, fn func() error) error {
	return lifecycle.NewGroup(context.Background(), i.log, i.metrics).Guard(name, fn)
}

func (i interceptors) unaryServer(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (resp any, err error) {
	ctx = incoming(ctx)
	err = i.guard("rpc", func() error {
		var herr error
		resp, herr = handler(ctx, req)
		return herr
	})
	var ce *code.Error
	if err != nil && !errors.As(err, &ce) && ctx.Err() == nil && i.log != nil {
		i.log.Error("call failed", "method", info.FullMethod, "request_id", RequestID(ctx), "err", err)
	}
	return resp, toStatus(err)
}

func (i interceptors) streamServer(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	err := i.guard("rpc", func() error { return handler(srv, ss) })
	if err != nil && ss.Context().Err() == nil && i.log != nil {
		i.log.Warn("stream ended", "method", info.FullMethod, "err", err)
	}
	return toStatus(err)
}

func unaryClient(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	return invoker(outgoing(ctx), method, req, reply, cc, opts...)
}
