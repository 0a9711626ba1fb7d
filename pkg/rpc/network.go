package rpc

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/fullstorydev/grpchan/inprocgrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"longlink/pkg/lifecycle"
)

// MaxMessage bounds one RPC message: a full batch of largest messages.
const MaxMessage = 64 << 20

// Conn is a connection to another instance.
type Conn interface {
	grpc.ClientConnInterface
	Close() error
}

// Server answers calls at Addr until Serve's context ends.
type Server interface {
	// Addr is what others dial.
	Addr() string
	// Serve returns after its last call has.
	Serve(ctx context.Context) error
}

// Network is how servers are reached. The two forms differ in nothing that a
// service can see.
type Network interface {
	// Listen claims the address; register adds the services. The server
	// answers once Serve runs.
	Listen(addr string, register func(grpc.ServiceRegistrar)) (Server, error)
	// Dial returns at once; a server that is away shows at the first call.
	Dial(addr string) (Conn, error)
}

// TCP is the Network between processes.
type TCP struct {
	Log     *slog.Logger
	Metrics *lifecycle.Metrics
}

type tcpServer struct {
	lis net.Listener
	srv *grpc.Server
}

// Listen implements Network; addr is host:port, port 0 takes a free one.
func (n *TCP) Listen(addr string, register func(grpc.ServiceRegistrar)) (Server, error) {
	lis, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	i := newInterceptors(n.Log, n.Metrics)
	srv := grpc.NewServer(
		grpc.MaxRecvMsgSize(MaxMessage), grpc.MaxSendMsgSize(MaxMessage),
		grpc.UnaryInterceptor(i.unaryServer), grpc.StreamInterceptor(i.streamServer),
		grpc.WaitForHandlers(true),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 10 * time.Second, Timeout: 5 * time.Second}),
		// Without this grpc-go closes clients that ping more than every 5 minutes.
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
	)
	register(srv)
	return &tcpServer{lis, srv}, nil
}

func (s *tcpServer) Addr() string { return s.lis.Addr().String() }

// Serve ends open streams at once when ctx does: their callers retry elsewhere.
func (s *tcpServer) Serve(ctx context.Context) error {
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { defer close(stopped); s.srv.Stop() })
	err := s.srv.Serve(s.lis)
	if stop() {
		s.srv.Stop() // Serve failed; its calls must end too
		return err
	}
	<-stopped // after the last handler
	return nil
}

// Dial implements Network.
func (n *TCP) Dial(addr string) (Conn, error) {
	return grpc.NewClient("passthrough:///"+addr,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithUnaryInterceptor(unaryClient),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(MaxMessage), grpc.MaxCallSendMsgSize(MaxMessage)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 5 * time.Second, PermitWithoutStream: true}),
		grpc.WithConnectParams(grpc.ConnectParams{MinConnectTimeout: 2 * time.Second,
			Backoff: backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second}}),
	)
}

// InProcess is the Network inside one process: addresses are names.
type InProcess struct {
	Log     *slog.Logger
	Metrics *lifecycle.Metrics

	mu      sync.Mutex
	servers map[string]*inprocServer
	next    int
}

type inprocServer struct {
	net  *InProcess
	addr string
	ch   *inprocgrpc.Channel

	serving chan struct{}   // closed when Serve has begun
	ctx     context.Context // ends with Serve; set before serving is closed

	mu     sync.Mutex
	closed bool
	calls  sync.WaitGroup // handlers that run; grows under mu while not closed
}

// enter counts a handler in, unless the server has stopped.
func (s *inprocServer) enter() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return status.Errorf(codes.Unavailable, "%s has stopped", s.addr)
	}
	s.calls.Add(1)
	return nil
}

// Listen implements Network; an address that ends in ":0" gets a name of its
// own.
func (n *InProcess) Listen(addr string, register func(grpc.ServiceRegistrar)) (Server, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if strings.HasSuffix(addr, ":0") {
		n.next++
		addr = fmt.Sprintf("%s%d", addr, n.next)
	}
	if _, taken := n.servers[addr]; taken {
		return nil, fmt.Errorf("in-process address %s is taken", addr)
	}
	i := newInterceptors(n.Log, n.Metrics)
	s := &inprocServer{net: n, addr: addr, ch: &inprocgrpc.Channel{}, serving: make(chan struct{})}
	s.ch.WithServerUnaryInterceptor(func(ctx context.Context, req any, info *grpc.UnaryServerInfo, h grpc.UnaryHandler) (any, error) {
		if err := s.enter(); err != nil {
			return nil, err
		}
		defer s.calls.Done()
		return i.unaryServer(ctx, req, info, h)
	})
	s.ch.WithServerStreamInterceptor(func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, h grpc.StreamHandler) error {
		if err := s.enter(); err != nil {
			return err
		}
		defer s.calls.Done()
		return i.streamServer(srv, ss, info, h)
	})
	register(s.ch)
	if n.servers == nil {
		n.servers = map[string]*inprocServer{}
	}
	n.servers[addr] = s
	return s, nil
}

func (s *inprocServer) Addr() string { return s.addr }

// Serve ends the contexts of its calls when ctx does.
func (s *inprocServer) Serve(ctx context.Context) error {
	s.ctx = ctx
	close(s.serving)
	<-ctx.Done()
	s.net.mu.Lock()
	delete(s.net.servers, s.addr)
	s.net.mu.Unlock()
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.calls.Wait()
	return nil
}

// Dial implements Network.
func (n *InProcess) Dial(addr string) (Conn, error) { return &inprocConn{n, addr}, nil }
