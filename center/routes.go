package center

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"longlink/pkg/api"
	"longlink/pkg/code"
)

// A route is one call of REST: what to do with a request whose caller is known.
type route struct {
	call   string   // metric label
	status int      // of a success; 0: 200
	batch  bool     // takes the body of a batch
	query  []string // parameters of the query that it knows; others are refused
	do     func(ctx context.Context, r *request) (any, error)
	stream func(ctx context.Context, r *request, out *eventStream) error // instead of do, for an answer that lasts
}

// methods are the routes of one path, by HTTP method, and for paths that end in
// {id}:verb by "METHOD :verb".
type methods map[string]route

// routes is the table of REST's calls.
func (s *server) routes() map[string]methods {
	return map[string]methods{
		"/v1/push":            {"POST": {call: "push", do: s.restPush}},
		"/v1/push:batch":      {"POST": {call: "push_batch", batch: true, do: s.restPushBatch}},
		"/v1/devices:query":   {"POST": {call: "query_devices", do: s.restQuery}},
		"/v1/devices/{id}":    {"GET": {call: "get_device", do: s.restDevice}, "POST :kick": {call: "kick_device", do: s.restKick}},
		"/v1/aliases/{alias}": {"GET": {call: "get_alias", query: []string{"product", "limit", "cursor"}, do: s.restAlias}},
		"/v1/aliases/{alias}/devices/{device}": {"PUT": {call: "add_alias", query: []string{"product"}, do: s.restAddAlias},
			"DELETE": {call: "remove_alias", query: []string{"product"}, do: s.restRemoveAlias}},
		"/v1/messages/{id}":       {"DELETE": {call: "recall_message", query: []string{"product"}, do: s.restRecall}},
		"/v1/messages/{id}/trace": {"GET": {call: "trace_message", query: []string{"product"}, do: s.restTrace}},
		"/v1/events":              {"GET": {call: callEvents, query: []string{"product", "kind", "since", "cursor"}, stream: s.restEvents}},
		"/v1/rooms":               {"GET": {call: "list_rooms", query: []string{"limit", "cursor"}, do: s.restRooms}},
		"/v1/services":            {"GET": {call: "list_services", query: []string{"kind"}, do: s.restServices}},
		"/v1/products":            {"GET": {call: "list_products", query: []string{"limit", "cursor"}, do: s.restProducts}, "POST": {call: "create_product", status: 201, do: s.restCreateProduct}},
		"/v1/products/{id}": {"GET": {call: "get_product", do: s.restProduct}, "DELETE": {call: "delete_product", status: 204, do: s.restDeleteProduct},
			"POST :rotate-key": {call: "rotate_product_key", do: s.restRotate}},
		"/v1/tokens": {"POST": {call: "create_token", status: 201, do: s.restToken}},
	}
}

// find picks the route of a request, and the id in its path without the verb.
// Ids have no colon, so the last one begins a verb.
func (m methods) find(r *http.Request) (route, string, *code.Error) {
	id, verb := r.PathValue("id"), ""
	if at := strings.LastIndexByte(id, ':'); at >= 0 {
		id, verb = id[:at], " "+id[at:]
	}
	if rt, ok := m[r.Method+verb]; ok {
		return rt, id, nil
	}
	var allowed []string
	for key := range m {
		if method, v, _ := strings.Cut(key, " "); v == strings.TrimPrefix(verb, " ") {
			allowed = append(allowed, method)
		}
	}
	if len(allowed) == 0 {
		return route{}, "", errNoSuchCall(r)
	}
	return route{}, "", &code.Error{Code: code.InvalidArgument, Field: "method", Message: r.Method + " is not possible here, only " + strings.Join(allowed, ", ")}
}

func errNoSuchCall(r *http.Request) *code.Error {
	return code.Errorf(code.NotFound, "there is no call %s %s", shorten(r.Method), shorten(r.URL.Path))
}

// request is what a route gets.
type request struct {
	id        string                   // in the path, as {id}
	path      func(name string) string // the path's other names
	query     url.Values               // of the route's parameters only, each given once
	body      []byte
	lastEvent string // the header Last-Event-ID
}

func (s *server) restPush(ctx context.Context, r *request) (any, error) {
	var b pushBody
	if err := decode(r.body, &b); err != nil {
		return nil, err
	}
	req, cerr := b.request()
	if cerr != nil {
		return nil, cerr
	}
	rep, err := s.Push(ctx, req)
	if err != nil {
		return nil, err
	}
	return answerPush(rep), nil
}

func (s *server) restDevice(ctx context.Context, r *request) (any, error) {
	d, err := s.GetDevice(ctx, &api.GetDeviceRequest{Device: r.id})
	if err != nil {
		return nil, err
	}
	return answerDevice(d), nil
}

func (s *server) restQuery(ctx context.Context, r *request) (any, error) {
	var b queryBody
	if err := decode(r.body, &b); err != nil {
		return nil, err
	}
	rep, err := s.QueryDevices(ctx, &api.QueryDevicesRequest{Devices: b.Devices})
	if err != nil {
		return nil, err
	}
	return answerDevices(rep), nil
}

func (s *server) restKick(ctx context.Context, r *request) (any, error) {
	var b kickBody
	if err := r.optional(&b); err != nil {
		return nil, err
	}
	rep, err := s.KickDevice(ctx, &api.KickDeviceRequest{Device: r.id, Reason: b.Reason})
	if err != nil {
		return nil, err
	}
	return kickAnswer{rep.State}, nil
}

func (s *server) restServices(ctx context.Context, r *request) (any, error) {
	rep, err := s.ListServices(ctx, &api.ServicesRequest{Kind: r.query.Get("kind")})
	if err != nil {
		return nil, err
	}
	return answerServices(rep), nil
}

func (s *server) restProducts(ctx context.Context, r *request) (any, error) {
	limit, cerr := r.limit()
	if cerr != nil {
		return nil, cerr
	}
	rep, err := s.ListProducts(ctx, &api.ListProductsRequest{Limit: limit, Cursor: r.query.Get("cursor")})
	if err != nil {
		return nil, err
	}
	return answerProducts(rep), nil
}

func (s *server) restProduct(ctx context.Context, r *request) (any, error) {
	p, err := s.GetProduct(ctx, &api.GetProductRequest{Name: r.id})
	if err != nil {
		return nil, err
	}
	return answerProduct(p), nil
}

func (s *server) restCreateProduct(ctx context.Context, r *request) (any, error) {
	var b productBody
	if err := decode(r.body, &b); err != nil {
		return nil, err
	}
	k, err := s.CreateProduct(ctx, &api.CreateProductRequest{Name: b.Name})
	if err != nil {
		return nil, err
	}
	return answerProductKey(k), nil
}

func (s *server) restRotate(ctx context.Context, r *request) (any, error) {
	if err := r.optional(&struct{}{}); err != nil {
		return nil, err
	}
	k, err := s.RotateProductKey(ctx, &api.RotateProductKeyRequest{Name: r.id})
	if err != nil {
		return nil, err
	}
	return answerProductKey(k), nil
}

func (s *server) restDeleteProduct(ctx context.Context, r *request) (any, error) {
	_, err := s.DeleteProduct(ctx, &api.DeleteProductRequest{Name: r.id})
	return nil, err
}

func (s *server) restToken(ctx context.Context, r *request) (any, error) {
	var b tokenBody
	if err := decode(r.body, &b); err != nil {
		return nil, err
	}
	req := &api.CreateTokenRequest{Device: b.Device, Products: b.Products, Aliases: b.Aliases}
	if b.TTL != nil {
		if req.TtlMs = b.TTL.millis(); req.TtlMs == 0 {
			return nil, code.Invalid("ttl", "must be between 1s and %s", s.cfg.MaxTokenTTL)
		}
	}
	rep, err := s.CreateToken(ctx, req)
	if err != nil {
		return nil, err
	}
	return tokenAnswer{rep.Token, timestamp(rep.ExpiresMs)}, nil
}

// optional decodes a body that may be left out.
func (r *request) optional(into any) *code.Error {
	if len(r.body) == 0 {
		return nil
	}
	return decode(r.body, into)
}
