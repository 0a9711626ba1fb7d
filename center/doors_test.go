package center

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"longlink/pkg/api"
	"longlink/pkg/code"
	"longlink/pkg/config"
	"longlink/pkg/rpc"
	"longlink/pkg/wire"
)

// dial is a gRPC client of the center.
func (w *world) dial() *grpc.ClientConn {
	w.t.Helper()
	cc, err := grpc.NewClient("passthrough:///"+strings.TrimPrefix(w.url, "http://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { cc.Close() })
	return cc
}

func withKey(ctx context.Context, key string) context.Context {
	if key == "" {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+key)
}

// TestBothDoorsAnswerAlike: every call, good and bad, with every kind of key.
func TestBothDoorsAnswerAlike(t *testing.T) {
	rest, grpcs := newWorld(t, nil), newWorld(t, nil)
	for _, w := range []*world{rest, grpcs} {
		w.reg.online("on", 5, "demo", "shop")
	}
	center := api.NewCenterClient(grpcs.dial())
	called := map[string]bool{}
	for _, c := range doorCalls() {
		for _, k := range []struct {
			name     string
			of       func(w *world) string
			want     code.Code
			operator bool
		}{
			{"no key", func(*world) string { return "" }, code.Unauthenticated, false},
			{"bad key", func(w *world) string { return w.op + "x" }, code.Unauthenticated, false},
			{"product's key", func(w *world) string { return w.keys["demo"] }, c.product, false},
			{"operator's key", func(w *world) string { return w.op }, c.operator, true},
		} {
			t.Run(c.name+", "+k.name, func(t *testing.T) {
				a := rest.call(k.of(rest), c.method, c.path, c.body)
				answer, err := c.rpc(withKey(t.Context(), k.of(grpcs)), center)
				e := rpc.FromStatus(err)
				if k.want == code.OK {
					if e != nil || a.status/100 != 2 {
						t.Fatalf("REST: %d %s; gRPC: %v", a.status, a.body, err)
					}
					if got, want := scrub(t, answer), scrub(t, json.RawMessage(a.body)); got != want {
						t.Errorf("gRPC %s\nREST %s", got, want)
					}
					return
				}
				field := c.field
				if k.want == code.Unauthenticated || k.want == code.PermissionDenied && !c.elsewhere() {
					field = ""
				}
				body := a.failed(t, k.want, field)
				if e == nil || e.Code != k.want || e.Field != body.Field || e.Message != body.Message || e.RetryMS() != body.RetryAfterMS {
					t.Errorf("REST: %+v\ngRPC: %v", body, err)
				}
				if s := status.Convert(err); s.Code() != grpcCode(k.want) || s.Message() != body.Message || len(s.Details()) != 1 {
					t.Errorf("status %v", s)
				}
			})
			if k.operator && c.operator == code.OK {
				called[c.method+" "+c.path] = true
			}
		}
	}
	for _, w := range []*world{rest, grpcs} {
		if len(w.saver.lanes) == 0 {
			t.Error("nothing was stored")
		}
	}
	if n := len(called); n < len(grpcCalls) {
		t.Errorf("%d calls succeed with the operator's key, there are %d: %v", n, len(grpcCalls), slices.Sorted(maps.Keys(called)))
	}
	var labels, methods []string
	for _, m := range rest.center.server.routes() {
		for _, r := range m {
			labels = append(labels, r.call)
		}
	}
	for _, m := range api.Center_ServiceDesc.Methods {
		methods = append(methods, grpcCalls[m.MethodName])
	}
	for _, m := range api.Center_ServiceDesc.Streams {
		methods = append(methods, grpcCalls[m.StreamName])
	}
	slices.Sort(labels)
	slices.Sort(methods)
	if !slices.Equal(labels, methods) || len(methods) != len(grpcCalls) {
		t.Errorf("REST has the calls %v\ngRPC %v", labels, methods)
	}
}

// scrub is an answer's JSON with its own words for what differs each time.
func scrub(t *testing.T, v any) string {
	t.Helper()
	if v == nil {
		return ""
	}
	if raw, ok := v.(json.RawMessage); ok && len(raw) == 0 {
		return ""
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var x any
	if err := json.Unmarshal(b, &x); err != nil {
		t.Fatal(err)
	}
	var walk func(x any)
	walk = func(x any) {
		switch x := x.(type) {
		case map[string]any:
			for k, v := range x {
				switch k {
				case "id", "seq", "api_key", "grant_secret", "grant_kid", "token", "expires", "key_ids":
					x[k] = fmt.Sprintf("%T", v)
				}
				walk(v)
			}
		case []any:
			for _, v := range x {
				walk(v)
			}
		}
	}
	walk(x)
	b, _ = json.Marshal(x)
	return string(b)
}

// TestGRPCLimits: those of REST.
func TestGRPCLimits(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.MaxRequests, c.MaxInFlightBytes = 1, 4<<20 })
	cc := w.dial()
	center := api.NewCenterClient(cc)
	ctx := withKey(t.Context(), w.op)
	long := strings.Repeat("x", 1<<20)
	_, err := center.Push(ctx, &api.PushRequest{Product: "demo", Device: "d", Text: &long})
	if e := rpc.FromStatus(err); e == nil || e.Code != code.PayloadTooLarge || e.Field != "" {
		t.Errorf("a long message: %v", err)
	}
	_, err = center.PushBatch(ctx, &api.PushBatchRequest{Messages: []*api.PushRequest{{Text: &long}, {Text: &long}}})
	if e := rpc.FromStatus(err); e == nil || e.Code != code.PayloadTooLarge {
		t.Errorf("a long batch: %v", err)
	}
	rep, err := center.PushBatch(ctx, &api.PushBatchRequest{Messages: []*api.PushRequest{{Product: "demo", Device: "d", Text: &long}, {Product: "demo", Device: "d", Text: ptr("hi")}}})
	if err != nil || code.Code(rep.Results[0].Error.GetCode()) != code.PayloadTooLarge || rep.Results[1].Error != nil {
		t.Errorf("a batch with a long message: %v, %v", rep, err)
	}
	err = cc.Invoke(ctx, "/longlink.v1.Center/Nothing", &api.PushRequest{}, &api.PushReply{})
	if e := rpc.FromStatus(err); status.Code(err) != codes.Unimplemented || e.Code != code.NotFound {
		t.Errorf("an unknown method: %v", err)
	}
	err = cc.Invoke(ctx, "/longlink.v1.Center/GetDevice", wrapperspb.Bytes([]byte{0xff}), &api.Device{})
	if e := rpc.FromStatus(err); e == nil || e.Code != code.Malformed {
		t.Errorf("a device that is not UTF-8: %v", err)
	}

	hold := make(chan struct{})
	w.saver.set(func() { w.saver.hold = hold })
	first := make(chan error, 1)
	go func() {
		_, err := center.Push(ctx, &api.PushRequest{Product: "demo", Device: "d", Text: ptr("hi")})
		first <- err
	}()
	w.await("the first request", func() bool { n, _ := w.center.server.budget.used(); return n == 1 })
	_, err = center.GetDevice(ctx, &api.GetDeviceRequest{Device: "d"})
	if e := rpc.FromStatus(err); e == nil || e.Code != code.RateLimited || e.RetryMS() == 0 {
		t.Errorf("a second request: %v", err)
	}
	close(hold)
	if err := <-first; err != nil {
		t.Error(err)
	}
	if n := metric(t, w.proms, "longlink_center_requests_total", "push", "PAYLOAD_TOO_LARGE"); n != 1 {
		t.Errorf("%v are counted", n)
	}
}

func TestGRPCRequestID(t *testing.T) {
	w := newWorld(t, nil)
	center := api.NewCenterClient(w.dial())
	for given, kept := range map[string]bool{"abc-1": true, "a b": false} {
		var header metadata.MD
		ctx := metadata.AppendToOutgoingContext(withKey(t.Context(), w.op), "x-request-id", given)
		if _, err := center.Push(ctx, &api.PushRequest{Product: "demo", Device: "d", Text: ptr("hi")}, grpc.Header(&header)); err != nil {
			t.Fatal(err)
		}
		id := strings.Join(header.Get("x-request-id"), ",")
		w.saver.mu.Lock()
		if last := w.saver.metas[len(w.saver.metas)-1]; (id == given) != kept || last != id || !wire.ValidName(id) {
			t.Errorf("given %q, answered %q, saver was told %q", given, id, last)
		}
		w.saver.mu.Unlock()
	}
}

// TestGRPCPanicCostsOneRequest, and a caller that goes away nothing.
func TestGRPCPanicCostsOneRequest(t *testing.T) {
	w := newWorld(t, nil)
	products := w.center.server.products
	w.center.server.products = panicking{}
	center := api.NewCenterClient(w.dial())
	_, err := center.CreateProduct(withKey(t.Context(), w.op), &api.CreateProductRequest{Name: "new"})
	if e := rpc.FromStatus(err); e == nil || e.Code != code.Internal || strings.Contains(err.Error(), "secret words") {
		t.Errorf("%v", err)
	}
	w.center.server.products = products
	hold := make(chan struct{})
	w.saver.set(func() { w.saver.hold = hold })
	ctx, cancel := context.WithTimeout(withKey(t.Context(), w.op), 50*time.Millisecond)
	defer cancel()
	_, err = center.Push(ctx, &api.PushRequest{Product: "demo", Device: "d", Text: ptr("hi")})
	if c := status.Code(err); c != codes.DeadlineExceeded && c != codes.Unknown { // the client's clock or center's was first
		t.Errorf("%v", err)
	}
	close(hold)
	w.await("the message to be stored", func() bool { return len(w.saver.lane("d", "demo")) == 1 })
}

// TestStopDoesNotWaitForIdleConnections: neither for those that nobody has used
// yet nor for gRPC's.
func TestStopDoesNotWaitForIdleConnections(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.StopGrace = config.Duration(time.Minute) })
	for range 3 {
		c, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	if _, err := api.NewCenterClient(w.dial()).GetDevice(withKey(t.Context(), w.op), &api.GetDeviceRequest{Device: "d"}); err != nil {
		t.Fatal(err)
	}
	res, err := http.Get(w.url)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	began := time.Now()
	w.stop()
	took := time.Since(began)
	t.Logf("it took %s", took)
	if took > 4*time.Second { // http.Server alone waits 5 s
		t.Errorf("it took %s", took)
	}
}
