package center

import (
	"context"
	"slices"
	"strings"

	"longlink/pkg/api"
	"longlink/pkg/code"
)

// doorCall is one call as it is made at each door; answer is the REST form of
// gRPC's reply.
type doorCall struct {
	name, method, path, body string
	rpc                      func(ctx context.Context, c api.CenterClient) (answer any, err error)
	product                  code.Code // demo's key
	operator                 code.Code
	field                    string // that is wrong, for both keys
}

// elsewhere: the call acts for shop, which demo's key may not.
func (c doorCall) elsewhere() bool { return strings.HasSuffix(c.name, "another product") }

func ptr[T any](v T) *T { return &v }

func pushCall(name, body string, r *api.PushRequest, product, operator code.Code, field string) doorCall {
	return doorCall{name, "POST", "/v1/push", body, func(ctx context.Context, c api.CenterClient) (any, error) {
		rep, err := c.Push(ctx, r)
		return answerPush(rep), err
	}, product, operator, field}
}

func doorCalls() []doorCall {
	batch := func(ctx context.Context, c api.CenterClient, messages ...*api.PushRequest) (any, error) {
		rep, err := c.PushBatch(ctx, &api.PushBatchRequest{Messages: messages})
		out := batchAnswer{Results: []batchResult{}}
		for _, r := range rep.GetResults() {
			out.Results = append(out.Results, answerBatchResult(r))
		}
		return out, err
	}
	hi := ptr("hi")
	large := strings.Repeat("x", maxPayload+1)
	// Those that delete product shop come last.
	return slices.Concat(aliasCalls(), eventCalls(), traceCalls(), []doorCall{
		pushCall("push", `{"product":"demo","device":"on","text":"hi"}`, &api.PushRequest{Product: "demo", Device: "on", Text: hi}, 0, 0, ""),
		pushCall("push to many", `{"product":"demo","devices":["on","off","a b"],"json":{"a":1},"ttl":"1h","data":{"k":"v"}}`,
			&api.PushRequest{Product: "demo", Devices: []string{"on", "off", "a b"}, Json: ptr(`{"a":1}`), TtlMs: 3600_000, Data: map[string]string{"k": "v"}}, 0, 0, ""),
		pushCall("push that is not acked", `{"product":"demo","device":"off","payload":"AP8=","wait":"20ms"}`,
			&api.PushRequest{Product: "demo", Device: "off", Payload: []byte{0, 255}, WaitMs: 20}, 0, 0, ""),
		pushCall("push for another product", `{"product":"shop","device":"on","text":"hi"}`, &api.PushRequest{Product: "shop", Device: "on", Text: hi}, code.PermissionDenied, 0, "product"),
		pushCall("push for none", `{}`, &api.PushRequest{}, code.InvalidArgument, code.InvalidArgument, "product"),
		pushCall("push to nobody", `{"product":"demo","text":"hi"}`, &api.PushRequest{Product: "demo", Text: hi}, code.InvalidArgument, code.InvalidArgument, "device"),
		pushCall("push of nothing", `{"product":"demo","device":"on"}`, &api.PushRequest{Product: "demo", Device: "on"}, code.InvalidArgument, code.InvalidArgument, "text"),
		pushCall("push of two things", `{"product":"demo","device":"on","text":"hi","json":1}`, &api.PushRequest{Product: "demo", Device: "on", Text: hi, Json: ptr("1")}, code.InvalidArgument, code.InvalidArgument, "json"),
		pushCall("push too large", `{"product":"demo","device":"on","text":"`+large+`"}`, &api.PushRequest{Product: "demo", Device: "on", Text: &large}, code.PayloadTooLarge, code.PayloadTooLarge, "text"),
		pushCall("push, long ttl", `{"product":"demo","device":"on","text":"hi","ttl":"721h"}`, &api.PushRequest{Product: "demo", Device: "on", Text: hi, TtlMs: 721 * 3600_000}, code.InvalidArgument, code.InvalidArgument, "ttl"),
		pushCall("push, long wait", `{"product":"demo","device":"on","text":"hi","wait":"61s"}`, &api.PushRequest{Product: "demo", Device: "on", Text: hi, WaitMs: 61_000}, code.InvalidArgument, code.InvalidArgument, "wait"),
		pushCall("push, qos 2", `{"product":"demo","device":"on","text":"hi","qos":2}`, &api.PushRequest{Product: "demo", Device: "on", Text: hi, Qos: ptr[uint32](2)}, code.InvalidArgument, code.InvalidArgument, "qos"),
		pushCall("push, qos 0, offline", `{"product":"demo","device":"off","text":"hi","qos":0}`, &api.PushRequest{Product: "demo", Device: "off", Text: hi, Qos: ptr[uint32](0)}, code.Offline, code.Offline, ""),
		pushCall("push, bad dedup id", `{"product":"demo","device":"on","text":"hi","dedup_id":"a b"}`, &api.PushRequest{Product: "demo", Device: "on", Text: hi, DedupId: "a b"}, code.InvalidArgument, code.InvalidArgument, "dedup_id"),
		{"batch", "POST", "/v1/push:batch", `{"messages":[{"product":"demo","device":"on","text":"hi"},{"product":"demo","device":"on","text":"hi","ttl":"721h"},{"product":"shop","device":"off","text":"hi"},{"product":"demo","device":"on","text":"hi","wait":"1s"}]}`,
			func(ctx context.Context, c api.CenterClient) (any, error) {
				return batch(ctx, c, &api.PushRequest{Product: "demo", Device: "on", Text: hi}, &api.PushRequest{Product: "demo", Device: "on", Text: hi, TtlMs: 721 * 3600_000},
					&api.PushRequest{Product: "shop", Device: "off", Text: hi}, &api.PushRequest{Product: "demo", Device: "on", Text: hi, WaitMs: 1000})
			}, 0, 0, ""},
		{"empty batch", "POST", "/v1/push:batch", `{"messages":[]}`, func(ctx context.Context, c api.CenterClient) (any, error) { return batch(ctx, c) }, code.InvalidArgument, code.InvalidArgument, "messages"},
		{"large batch", "POST", "/v1/push:batch", `{"messages":[` + strings.Repeat("{},", maxBatch) + `{}]}`, func(ctx context.Context, c api.CenterClient) (any, error) {
			return batch(ctx, c, make([]*api.PushRequest, maxBatch+1)...)
		}, code.TooManyTargets, code.TooManyTargets, "messages"},
		{"device", "GET", "/v1/devices/on", "", func(ctx context.Context, c api.CenterClient) (any, error) {
			rep, err := c.GetDevice(ctx, &api.GetDeviceRequest{Device: "on"})
			if err != nil {
				return nil, err
			}
			return answerDevice(rep), nil
		}, 0, 0, ""},
		{"bad device", "GET", "/v1/devices/a%20b", "", func(ctx context.Context, c api.CenterClient) (any, error) {
			return c.GetDevice(ctx, &api.GetDeviceRequest{Device: "a b"})
		}, code.InvalidArgument, code.InvalidArgument, "device"},
		{"query", "POST", "/v1/devices:query", `{"devices":["on","off"]}`, func(ctx context.Context, c api.CenterClient) (any, error) {
			rep, err := c.QueryDevices(ctx, &api.QueryDevicesRequest{Devices: []string{"on", "off"}})
			return answerDevices(rep), err
		}, 0, 0, ""},
		{"query of none", "POST", "/v1/devices:query", `{}`, func(ctx context.Context, c api.CenterClient) (any, error) {
			return c.QueryDevices(ctx, &api.QueryDevicesRequest{})
		}, code.InvalidArgument, code.InvalidArgument, "devices"},
		{"kick", "POST", "/v1/devices/on:kick", `{"reason":"why"}`, func(ctx context.Context, c api.CenterClient) (any, error) {
			rep, err := c.KickDevice(ctx, &api.KickDeviceRequest{Device: "on", Reason: "why"})
			return kickAnswer{rep.GetState()}, err
		}, 0, 0, ""},
		{"kick, long reason", "POST", "/v1/devices/on:kick", `{"reason":"` + strings.Repeat("x", maxReason+1) + `"}`, func(ctx context.Context, c api.CenterClient) (any, error) {
			return c.KickDevice(ctx, &api.KickDeviceRequest{Device: "on", Reason: strings.Repeat("x", maxReason+1)})
		}, code.InvalidArgument, code.InvalidArgument, "reason"},
		{"services", "GET", "/v1/services?kind=room", "", func(ctx context.Context, c api.CenterClient) (any, error) {
			rep, err := c.ListServices(ctx, &api.ServicesRequest{Kind: "room"})
			return answerServices(rep), err
		}, code.PermissionDenied, 0, ""},
		{"services of no kind", "GET", "/v1/services?kind=x", "", func(ctx context.Context, c api.CenterClient) (any, error) {
			return c.ListServices(ctx, &api.ServicesRequest{Kind: "x"})
		}, code.PermissionDenied, code.InvalidArgument, "kind"},
		{"products", "GET", "/v1/products?limit=1", "", func(ctx context.Context, c api.CenterClient) (any, error) {
			rep, err := c.ListProducts(ctx, &api.ListProductsRequest{Limit: 1})
			return answerProducts(rep), err
		}, code.PermissionDenied, 0, ""},
		{"products, high limit", "GET", "/v1/products?limit=1001", "", func(ctx context.Context, c api.CenterClient) (any, error) {
			return c.ListProducts(ctx, &api.ListProductsRequest{Limit: 1001})
		}, code.PermissionDenied, code.InvalidArgument, "limit"},
		{"product", "GET", "/v1/products/demo", "", func(ctx context.Context, c api.CenterClient) (any, error) {
			rep, err := c.GetProduct(ctx, &api.GetProductRequest{Name: "demo"})
			if err != nil {
				return nil, err
			}
			return answerProduct(rep), nil
		}, code.PermissionDenied, 0, ""},
		{"unknown product", "GET", "/v1/products/nope", "", func(ctx context.Context, c api.CenterClient) (any, error) {
			return c.GetProduct(ctx, &api.GetProductRequest{Name: "nope"})
		}, code.PermissionDenied, code.UnknownProduct, "name"},
		{"create", "POST", "/v1/products", `{"name":"NEW"}`, func(ctx context.Context, c api.CenterClient) (any, error) {
			rep, err := c.CreateProduct(ctx, &api.CreateProductRequest{Name: "NEW"})
			if err != nil {
				return nil, err
			}
			return answerProductKey(rep), nil
		}, code.PermissionDenied, 0, ""},
		{"create again", "POST", "/v1/products", `{"name":"demo"}`, func(ctx context.Context, c api.CenterClient) (any, error) {
			return c.CreateProduct(ctx, &api.CreateProductRequest{Name: "demo"})
		}, code.PermissionDenied, code.AlreadyExists, ""},
		{"rotate", "POST", "/v1/products/shop:rotate-key", "", func(ctx context.Context, c api.CenterClient) (any, error) {
			rep, err := c.RotateProductKey(ctx, &api.RotateProductKeyRequest{Name: "shop"})
			if err != nil {
				return nil, err
			}
			return answerProductKey(rep), nil
		}, code.PermissionDenied, 0, ""},
		{"token", "POST", "/v1/tokens", `{"device":"d","products":["demo"],"aliases":{"demo":"ann"},"ttl":"1h"}`, func(ctx context.Context, c api.CenterClient) (any, error) {
			rep, err := c.CreateToken(ctx, &api.CreateTokenRequest{Device: "d", Products: []string{"demo"}, Aliases: map[string]string{"demo": "ann"}, TtlMs: 3600_000})
			return tokenAnswer{rep.GetToken(), timestamp(rep.GetExpiresMs())}, err
		}, code.PermissionDenied, 0, ""},
		{"token for nobody", "POST", "/v1/tokens", `{}`, func(ctx context.Context, c api.CenterClient) (any, error) {
			return c.CreateToken(ctx, &api.CreateTokenRequest{})
		}, code.PermissionDenied, code.InvalidArgument, "device"},
		{"delete", "DELETE", "/v1/products/shop", "", func(ctx context.Context, c api.CenterClient) (any, error) {
			_, err := c.DeleteProduct(ctx, &api.DeleteProductRequest{Name: "shop"})
			return nil, err
		}, code.PermissionDenied, 0, ""},
		{"delete of none", "DELETE", "/v1/products/nope", "", func(ctx context.Context, c api.CenterClient) (any, error) {
			return c.DeleteProduct(ctx, &api.DeleteProductRequest{Name: "nope"})
		}, code.PermissionDenied, code.UnknownProduct, "product"},
	})
}
