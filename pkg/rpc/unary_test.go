package rpc

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"longlink/pkg/api"
	"longlink/pkg/code"
)

func (w *world) client(t *testing.T, addr string) api.SaverClient {
	t.Helper()
	c, err := w.net.Dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return api.NewSaverClient(c)
}

func TestUnaryErrors(t *testing.T) {
	var none *code.Error
	cases := map[string]struct {
		fail func() error
		want *code.Error // nil: success
	}{
		"success":    {func() error { return nil }, nil},
		"nil *Error": {func() error { return none }, nil},
		"with details": {func() error {
			return code.Invalid("ttl", "must be at most %s", "720h").WithRetry(1500 * time.Millisecond)
		}, &code.Error{Code: code.InvalidArgument, Field: "ttl", Message: "must be at most 720h", Retry: 1500 * time.Millisecond}},
		"wrapped": {func() error { return fmt.Errorf("at the door: %w", code.Errorf(code.NotReady, "warming")) },
			&code.Error{Code: code.NotReady, Message: "warming"}},
		"never an API code": {func() error { return code.Errorf(code.HelloTimeout, "x") }, &code.Error{Code: code.HelloTimeout, Message: "x"}},
		"unknown number":    {func() error { return code.Errorf(2999, "x") }, &code.Error{Code: 2999, Message: "x"}},
		"not UTF-8":         {func() error { return code.Invalid("a\xff", "b\xfe") }, &code.Error{Code: code.InvalidArgument, Field: "a\uFFFD", Message: "b\uFFFD"}},
		"a plain error":     {func() error { return errBoom }, &code.Error{Code: code.Internal, Message: "internal fault"}},
		"a panic":           {func() error { panic("secret detail") }, &code.Error{Code: code.Internal, Message: "internal fault"}},
		"a deadline":        {func() error { return context.DeadlineExceeded }, &code.Error{Code: code.Deadline}},
		"a status":          {func() error { return status.Error(codes.ResourceExhausted, "full") }, &code.Error{Code: code.RateLimited, Message: "full"}},
	}
	worlds(t, func(t *testing.T, w *world) {
		f := &fake{}
		s := w.serve(t, w.addr, f)
		client := w.client(t, s.addr)
		for name, c := range cases {
			f.pending = func(context.Context, *api.PendingRequest) (*api.PendingReply, error) {
				return &api.PendingReply{}, c.fail()
			}
			_, err := client.Pending(t.Context(), &api.PendingRequest{})
			got := FromStatus(err)
			switch {
			case c.want == nil:
				if got != nil {
					t.Errorf("%s: %v", name, got)
				}
			case got == nil || got.Code != c.want.Code || got.Field != c.want.Field || got.Retry != c.want.Retry ||
				(c.want.Message != "" && got.Message != c.want.Message):
				t.Errorf("%s: %+v, want %+v", name, got, c.want)
			}
			if got != nil && strings.Contains(got.Message, "secret") {
				t.Errorf("%s: the fault's text came out: %q", name, got.Message)
			}
		}
	})
}

func TestRequestIDTravels(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		f := &fake{pending: func(ctx context.Context, _ *api.PendingRequest) (*api.PendingReply, error) {
			return nil, code.Errorf(code.NotFound, "%s", RequestID(ctx))
		}}
		s := w.serve(t, w.addr, f)
		client := w.client(t, s.addr)
		for _, id := range []string{"", NewRequestID()} {
			ctx := t.Context()
			if id != "" {
				ctx = WithRequestID(ctx, id)
			}
			_, err := client.Pending(ctx, &api.PendingRequest{})
			if e := FromStatus(err); e == nil || e.Message != id {
				t.Errorf("the handler saw %v, sent %q", e, id)
			}
		}
	})
	ctx, cancel := MetaContext(t.Context(), NewMeta(WithRequestID(t.Context(), "r1")))
	defer cancel()
	if _, has := ctx.Deadline(); has || RequestID(ctx) != "r1" {
		t.Errorf("the item's context has id %q, a deadline: %v", RequestID(ctx), has)
	}
	ctx, cancel = MetaContext(t.Context(), &api.Meta{RemainingMs: 60_000})
	defer cancel()
	if d, has := ctx.Deadline(); !has || time.Until(d) > time.Minute {
		t.Errorf("deadline %v, %v", d, has)
	}
}

func TestDeadlineReachesTheHandler(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		ended := make(chan struct{})
		f := &fake{pending: func(ctx context.Context, _ *api.PendingRequest) (*api.PendingReply, error) {
			defer close(ended)
			<-ctx.Done()
			return nil, ctx.Err()
		}}
		s := w.serve(t, w.addr, f)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := w.client(t, s.addr).Pending(ctx, &api.PendingRequest{})
		if e := FromStatus(err); e == nil || e.Code != code.Deadline {
			t.Errorf("%v", err)
		}
		<-ended
	})
}

func TestNobodyThere(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		s := w.serve(t, w.addr, &fake{})
		s.stop()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, err := w.client(t, s.addr).Pending(ctx, &api.PendingRequest{})
		if e := FromStatus(err); e == nil || e.Code != code.Unavailable {
			t.Errorf("%v", err)
		}
	})
}

func TestUnimplemented(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		s := w.serve(t, w.addr, &fake{})
		_, err := w.client(t, s.addr).Recall(t.Context(), &api.RecallRequest{})
		if status.Code(err) != codes.Unimplemented || FromStatus(err).Code != code.Internal {
			t.Errorf("%v", err)
		}
	})
}

func TestServeReturnsAfterItsHandlers(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		entered, release, returned := make(chan struct{}), make(chan struct{}), make(chan struct{})
		f := &fake{pending: func(ctx context.Context, _ *api.PendingRequest) (*api.PendingReply, error) {
			defer close(returned)
			close(entered)
			<-ctx.Done() // told to end, it still has something to finish
			<-release
			return nil, ctx.Err()
		}}
		s := w.serve(t, w.addr, f)
		client := w.client(t, s.addr)
		failed := make(chan error, 1)
		go func() {
			_, err := client.Pending(context.Background(), &api.PendingRequest{})
			failed <- err
		}()
		<-entered
		s.quit()
		if e := FromStatus(<-failed); e == nil || e.Code != code.Unavailable {
			t.Errorf("the cut off call got %v", e)
		}
		select {
		case <-s.done:
			t.Error("Serve returned before its handler")
		case <-time.After(50 * time.Millisecond):
		}
		close(release)
		<-s.done
		select {
		case <-returned:
		default:
			t.Error("Serve returned before its handler")
		}
	})
}

func TestAddressTaken(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		s := w.serve(t, w.addr, &fake{})
		if _, err := w.net.Listen(s.addr, nil); err == nil || !strings.Contains(err.Error(), s.addr) {
			t.Errorf("%v", err)
		}
		other := w.serve(t, w.addr, &fake{}) // :0 takes another one
		if other.addr == s.addr {
			t.Error("the same address twice")
		}
	})
}

func TestListeningIsNotServing(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		srv, err := w.net.Listen(w.addr, func(r grpc.ServiceRegistrar) { api.RegisterSaverServer(r, &fake{}) })
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		_, err = w.client(t, srv.Addr()).Pending(ctx, &api.PendingRequest{})
		if e := FromStatus(err); e == nil || e.Code != code.Unavailable || ctx.Err() != nil {
			t.Errorf("%v", err)
		}
		ended, stop := context.WithCancel(t.Context())
		stop()
		if err := srv.Serve(ended); err != nil { // frees the address
			t.Error(err)
		}
	})
}
