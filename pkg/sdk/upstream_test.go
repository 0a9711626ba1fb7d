package sdk

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"longlink/pkg/code"
	"longlink/pkg/wire"
)

// upLogin answers HELLO as a room that takes upstream data.
func (r *roomConn) upLogin() {
	r.t.Helper()
	h := r.hello()
	r.welcome(wire.Welcome{Features: wire.FeatureUpstream})
	for _, b := range h.Bindings {
		r.bound(b.Product, b.Cursor)
	}
}

// up is the next frame but for PINGs, an UP.
func (r *roomConn) up() wire.Up {
	r.t.Helper()
	f := r.next()
	for f.t == wire.TypePing {
		r.send(wire.PongFrame)
		f = r.next()
	}
	if f.t != wire.TypeUp {
		r.t.Fatalf("got %s, want UP", f.t)
	}
	u, err := wire.ParseUp(f.body)
	if err != nil {
		r.t.Fatal(err)
	}
	return u
}

// ups takes UPs with these bodies, in this order; a body with a ! in front must
// have the flag First, the others must not.
func (r *roomConn) ups(want ...string) (ids []uint64) {
	r.t.Helper()
	var got []string
	for range want {
		u := r.up()
		body := string(u.Payload)
		if u.Flags&wire.FlagFirst != 0 {
			body = "!" + body
		}
		got, ids = append(got, body), append(ids, u.UpID)
	}
	if !slices.Equal(got, want) {
		r.t.Fatalf("UPs %q, want %q", got, want)
	}
	return ids
}

func (r *roomConn) upAck(c code.Code, retryMS uint32, ids ...uint64) {
	r.t.Helper()
	for _, id := range ids {
		r.send(wire.AppendUpAck(nil, &wire.UpAck{UpID: id, Code: c, RetryMS: retryMS}))
	}
}

// sending is a Send that a test started.
type sending struct {
	t      testing.TB
	cancel context.CancelFunc
	err    chan error
}

// send starts a Send of body and returns when it has its place in the outbox.
func (w *world) send(product, body string) *sending {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	s := &sending{t: w.t, cancel: cancel, err: make(chan error, 1)}
	go func() { s.err <- w.client.Send(ctx, product, "k", SendText, []byte(body)) }()
	synctest.Wait()
	return s
}

// answer is what the Send returned; it fails the test after a minute.
func (s *sending) answer() error {
	s.t.Helper()
	select {
	case err := <-s.err:
		return err
	case <-time.After(time.Minute):
		s.t.Fatal("the Send does not return")
	}
	panic("unreachable")
}

func (s *sending) stored() {
	s.t.Helper()
	if err := s.answer(); err != nil {
		s.t.Fatalf("Send: %v", err)
	}
}

func (s *sending) refused(c code.Code) {
	s.t.Helper()
	assertRefused(s.t, s.answer(), c)
}

// waits fails when the Send has returned.
func (s *sending) waits() {
	s.t.Helper()
	synctest.Wait()
	select {
	case err := <-s.err:
		s.t.Fatalf("Send returned %v", err)
	default:
	}
}

// giveUp ends the Send's context.
func (s *sending) giveUp() {
	s.t.Helper()
	s.cancel()
	if err := s.answer(); err != context.Canceled {
		s.t.Fatalf("a Send that was given up returned %v", err)
	}
}

// twoProducts binds p and q.
func twoProducts(_ *world, c *Config) { c.Products = []Product{{Name: "p"}, {Name: "q"}} }
