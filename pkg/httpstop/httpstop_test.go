package httpstop

import (
	"errors"
	"net"
	"net/http"
	"testing"
	"time"
)

// TestStopDoesNotWaitForUnusedConnections: http.Server alone waits 5 s.
func TestStopDoesNotWaitForUnusedConnections(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	taken := make(chan struct{}, 8)
	srv := &http.Server{Handler: http.NotFoundHandler()}
	s := New(srv)
	note := srv.ConnState
	srv.ConnState = func(c net.Conn, state http.ConnState) {
		note(c, state)
		taken <- struct{}{}
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	<-taken
	began := time.Now()
	if err := s.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("it took %s", took)
	}
	if err := <-done; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
}
