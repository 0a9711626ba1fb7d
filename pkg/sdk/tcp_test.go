package sdk

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"longlink/pkg/wire"
)

// listen starts a fake room on a free port; its connections come on the channel.
func listen(t *testing.T) (addr string, conns chan *roomConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	conns = make(chan *roomConn, 64)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			conns <- newRoomConn(t, nc, ln.Addr().String())
		}
	}()
	t.Cleanup(func() {
		ln.Close()
		<-ended
		close(conns)
		for r := range conns {
			r.close()
		}
	})
	return ln.Addr().String(), conns
}

// dispatch starts a fake dispatcher that names addrs; queries come on the
// channel.
func dispatch(t *testing.T, addrs ...string) (url string, queries chan string) {
	t.Helper()
	queries = make(chan string, 64)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path != "/v1/rooms" {
			http.NotFound(w, req)
			return
		}
		queries <- req.URL.RawQuery
		var rooms []map[string]string
		for _, a := range addrs {
			rooms = append(rooms, map[string]string{"addr": a, "idc": "one", "transport": "tcp"})
		}
		err := json.NewEncoder(w).Encode(map[string]any{"rooms": rooms, "ttl_s": 300,
			"heartbeat": map[string]int{"min_s": 60, "max_s": 480, "suggested_s": 300},
			"backoff":   map[string]any{"base_ms": 20, "max_ms": 200, "jitter": 0.5}})
		if err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(srv.Close)
	return srv.URL, queries
}

func take[T any](t *testing.T, ch <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(20 * time.Second):
		t.Fatalf("no %s within 20 s", what)
	}
	panic("unreachable")
}

// The whole road over real sockets: dispatcher, a dead address, login, message,
// break, and back with the stored cursor.
func TestOverTCP(t *testing.T) {
	room, conns := listen(t)
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead.Close()
	url, queries := dispatch(t, dead.Addr().String(), room)
	http := &http.Client{Transport: &http.Transport{}}
	defer http.CloseIdleConnections()
	got := make(chan Message, 10)
	c, err := New(Config{
		Device: "d1", Token: func(context.Context) (string, error) { return "tok", nil }, Products: []Product{{Name: "p"}},
		Dispatcher: []string{url}, Network: "4g", Store: NewFileStore(t.TempDir()), HTTP: http,
		Handler: func(_ context.Context, m Message) error { got <- m; return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { result <- c.Run(ctx) }()
	defer cancel()

	r := take(t, conns, "connection")
	if q := take(t, queries, "query"); q != "device=d1&network=4g&transport=tcp" {
		t.Errorf("query %s", q)
	}
	r.login()
	r.push("p", 5)
	if m := take(t, got, "message"); m.Seq != 5 {
		t.Fatalf("seq %d", m.Seq)
	}
	r.ackUpTo(5)
	r.close()
	r = take(t, conns, "second connection")
	if h := r.login(); h.Bindings[0].Cursor != 5 {
		t.Fatalf("cursor %d", h.Bindings[0].Cursor)
	}
	cancel()
	if err := take(t, result, "end of Run"); err != nil {
		t.Fatal(err)
	}
	r.expect(wire.TypeBye)
	r.close()
}
