package dispatcher

import (
	"net"
	"sync"
	"sync/atomic"
)

// limited is a listener that closes connections beyond a number at once: the
// device tries again after its back-off, which costs less than one that waits.
type limited struct {
	net.Listener
	max  int64
	open atomic.Int64
	m    *metrics
}

// Accept implements net.Listener.
func (l *limited) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.open.Add(1) > l.max {
			l.open.Add(-1)
			l.m.refused.Inc()
			c.Close()
			continue
		}
		l.m.connections.Inc()
		return &limitedConn{Conn: c, release: sync.OnceFunc(func() {
			l.open.Add(-1)
			l.m.connections.Dec()
		})}, nil
	}
}

type limitedConn struct {
	net.Conn
	release func()
}

// Close implements net.Conn.
func (c *limitedConn) Close() error {
	defer c.release()
	return c.Conn.Close()
}
