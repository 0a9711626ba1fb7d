package sdk

import (
	"context"
	"net"
	"testing"

	"longlink/pkg/wire"
)

// BenchmarkBacklog hands a backlog to a handler that does nothing, window by
// window, as a room does after a login.
func BenchmarkBacklog(b *testing.B) {
	for name, store := range map[string]CursorStore{"memory": NewMemoryStore(), "file": NewFileStore(b.TempDir())} {
		b.Run(name, func(b *testing.B) { backlog(b, store) })
	}
}

func backlog(b *testing.B, store CursorStore) {
	const window = 32
	conns := make(chan net.Conn, 1)
	handled := make(chan uint64, window)
	c, err := New(Config{
		Device: "d1", Token: func(context.Context) (string, error) { return "tok", nil },
		Products: []Product{{Name: "p"}}, Addresses: []string{"a:1"}, Store: store,
		Handler: func(_ context.Context, m Message) error { handled <- m.Seq; return nil },
		Dial: func(context.Context, string, string) (net.Conn, error) {
			device, room := net.Pipe()
			conns <- room
			return device, nil
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	result := make(chan error, 1)
	go func() { result <- c.Run(ctx) }()
	r := newRoomConn(b, <-conns, "a:1")
	h := r.hello()
	r.welcome(wire.Welcome{Window: window})
	r.bound("p", h.Bindings[0].Cursor)
	seq := h.Bindings[0].Cursor
	payload := make([]byte, 200)
	var frames []byte
	acked := seq
	b.ResetTimer()
	for n := 0; n < b.N; {
		frames = frames[:0]
		for range min(window, b.N-n) {
			seq++
			n++
			frames = wire.AppendPush(frames, &wire.Push{Product: []byte("p"), Seq: seq, ID: []byte("01K"), Payload: payload})
		}
		r.send(frames)
		for last := uint64(0); last < seq; {
			last = <-handled
		}
		for acked < seq {
			acked = r.ack()
		}
	}
	b.StopTimer()
	cancel()
	if err := <-result; err != nil {
		b.Fatal(err)
	}
	r.close()
}
