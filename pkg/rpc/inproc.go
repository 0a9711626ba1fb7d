package rpc

import (
	"context"
	"sync"
	"time"

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

// begin finds the server and makes the call's context, which ends with the
// caller's or the server's. end frees it.
func (c *inprocConn) begin(ctx context.Context) (s *inprocServer, _ context.Context, end func(), err error) {
	c.net.mu.Lock()
	s = c.net.servers[c.addr]
	c.net.mu.Unlock()
	if s == nil {
		return nil, nil, nil, status.Errorf(codes.Unavailable, "nothing serves %s in this process", c.addr)
	}
	if err := s.awaitServing(ctx); err != nil {
		return nil, nil, nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.ctx, cancel)
	return s, ctx, func() { stop(); cancel() }, nil
}

// startWait is how long a call waits for a server that listens and does not
// serve yet, as a TCP connection attempt does.
const startWait = 2 * time.Second

func (s *inprocServer) awaitServing(ctx context.Context) error {
	select {
	case <-s.serving:
		return nil
	default:
	}
	t := time.NewTimer(startWait)
	defer t.Stop()
	select {
	case <-s.serving:
		return nil
	case <-t.C:
		return status.Errorf(codes.Unavailable, "%s does not serve yet", s.addr)
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	}
}

// ended is what a call that the server's end cut off returns, as over TCP.
func (s *inprocServer) ended(err error) error {
	if s.ctx.Err() != nil && status.Code(err) == codes.Canceled {
		return status.Errorf(codes.Unavailable, "%s has stopped", s.addr)
	}
	return err
}

// Invoke implements grpc.ClientConnInterface.
func (c *inprocConn) Invoke(ctx context.Context, method string, req, resp any, opts ...grpc.CallOption) error {
	s, ctx, end, err := c.begin(outgoing(ctx))
	if status.Code(err) == codes.Unavailable {
		return &UnsentError{err}
	}
	if err != nil {
		return err
	}
	defer end()
	if err := s.ch.Invoke(ctx, method, req, resp, opts...); err != nil {
		return s.ended(err)
	}
	return nil
}

// NewStream implements grpc.ClientConnInterface.
func (c *inprocConn) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	s, ctx, end, err := c.begin(outgoing(ctx))
	if err != nil {
		return nil, err
	}
	cs, err := s.ch.NewStream(ctx, desc, method, opts...)
	if err != nil {
		end()
		return nil, s.ended(err)
	}
	is := &inprocStream{ClientStream: cs, s: s}
	is.end = sync.OnceFunc(end)
	// A stream ends with its context at the latest.
	context.AfterFunc(ctx, is.end)
	return is, nil
}

// inprocStream frees the stream's context when the stream has ended.
type inprocStream struct {
	grpc.ClientStream
	s   *inprocServer
	end func()
}

func (i *inprocStream) RecvMsg(m any) error {
	err := i.ClientStream.RecvMsg(m)
	if err != nil {
		i.end()
		err = i.s.ended(err)
	}
	return err
}
