package rpc

import (
	"context"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// inprocConn finds its server anew at every call, so that a server that was
// restarted is reached, as over TCP.
type inprocConn struct {
	net  *InProcess
	addr string
}

func (c *inprocConn) Close() error { return nil }

// begin enters a call: its context ends with the caller's or the server's.
func (c *inprocConn) begin(ctx context.Context) (*inprocServer, context.Context, func(), error) {
	c.net.mu.Lock()
	s := c.net.servers[c.addr]
	c.net.mu.Unlock()
	if s == nil {
		return nil, nil, nil, status.Errorf(codes.Unavailable, "nothing serves %s in this process", c.addr)
	}
	select {
	case <-s.serving:
	case <-ctx.Done():
		return nil, nil, nil, status.FromContextError(ctx.Err()).Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, nil, nil, status.Errorf(codes.Unavailable, "%s has stopped", c.addr)
	}
	s.calls.Add(1)
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.ctx, cancel)
	var once sync.Once
	return s, ctx, func() { once.Do(func() { stop(); cancel(); s.calls.Done() }) }, nil
}

// Invoke implements grpc.ClientConnInterface.
func (c *inprocConn) Invoke(ctx context.Context, method string, req, resp any, opts ...grpc.CallOption) error {
	s, ctx, end, err := c.begin(outgoing(ctx))
	if err != nil {
		return err
	}
	defer end()
	return s.ch.Invoke(ctx, method, req, resp, opts...)
}

// NewStream implements grpc.ClientConnInterface.
func (c *inprocConn) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	s, ctx, end, err := c.begin(ctx)
	if err != nil {
		return nil, err
	}
	cs, err := s.ch.NewStream(ctx, desc, method, opts...)
	if err != nil {
		end()
		return nil, err
	}
	// The stream is over when its context is: by its caller, or with the server.
	context.AfterFunc(ctx, end)
	return cs, nil
}
