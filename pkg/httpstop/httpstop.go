// Package httpstop ends http.Servers without waiting for connections that
// nobody has used. HTTP clients open more connections than they use;
// http.Server.Shutdown waits 5 s for those on which nothing was heard.
package httpstop

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// unusedGrace is how long a stopping server waits for a connection's first byte.
const unusedGrace = 50 * time.Millisecond

// Stopper stops one http.Server.
type Stopper struct {
	srv *http.Server

	mu     sync.Mutex
	unused map[net.Conn]struct{}
}

// New takes the server's ConnState; call it before Serve.
func New(srv *http.Server) *Stopper {
	s := &Stopper{srv: srv, unused: map[net.Conn]struct{}{}}
	srv.ConnState = s.note
	return s
}

func (s *Stopper) note(c net.Conn, state http.ConnState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if state == http.StateNew {
		s.unused[c] = struct{}{}
	} else {
		delete(s.unused, c)
	}
}

// Stop returns when the requests that are under way have ended; those that have
// not when ctx ends are cut off.
func (s *Stopper) Stop(ctx context.Context) error {
	t := time.AfterFunc(unusedGrace, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for c := range s.unused {
			c.Close()
		}
	})
	defer t.Stop()
	if s.srv.Shutdown(ctx) != nil {
		return s.srv.Close()
	}
	return nil
}
