package testenv

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
)

// Option changes how a server is started.
type Option func(*options)

type options struct{ args []string }

func join(opts []Option) options {
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	return o
}

// Args adds arguments to the server's command line; what they name twice, the
// later wins.
func Args(args ...string) Option {
	return func(o *options) { o.args = append(o.args, args...) }
}

// AOF makes Redis log each write and sync the log once a second: after Kill
// and Start its data is there again.
func AOF() Option { return Args("--appendonly", "yes", "--appendfsync", "everysec") }

// RedisServer is a redis-server.
type RedisServer struct {
	*Server
	Addr string // host:port
}

// StartRedis starts a redis-server with its data in dir, which must exist.
// Without AOF it keeps nothing on disk: after Kill and Start it is empty.
func StartRedis(dir string, opts ...Option) (*RedisServer, error) {
	path, err := find("redis-server", "redis-server")
	if err != nil {
		return nil, err
	}
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	addr := loopback(port)
	args := append([]string{
		"--bind", "127.0.0.1", "--port", strconv.Itoa(port), "--dir", dir,
		"--save", "", "--appendonly", "no",
	}, join(opts).args...)
	server, err := newServer("redis-server", dir, Command{Path: path, Args: args},
		func(ctx context.Context) error { return pingRedis(ctx, addr) })
	if err != nil {
		return nil, err
	}
	return &RedisServer{Server: server, Addr: addr}, nil
}

// pingRedis sends an inline PING. A server that still loads its log answers
// -LOADING, one that wants a password -NOAUTH.
func pingRedis(ctx context.Context, addr string) error {
	conn, err := dial(ctx, addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "PING\r\n"); err != nil {
		return err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return err
	}
	if !strings.HasPrefix(line, "+PONG") && !strings.HasPrefix(line, "-NOAUTH") {
		return fmt.Errorf("it answered PING with %q", strings.TrimSpace(line))
	}
	return nil
}

// dial connects and gives the connection the context's deadline.
func dial(ctx context.Context, addr string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp4", addr)
	if err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			conn.Close()
			return nil, err
		}
	}
	return conn, nil
}
