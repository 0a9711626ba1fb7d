package center

import (
	"context"

	"longlink/pkg/api"
	"longlink/pkg/code"
)

func followCall(name, query string, r *api.EventsRequest, product, operator code.Code, field string) doorCall {
	return doorCall{name, "GET", "/v1/events" + query, "", func(ctx context.Context, c api.CenterClient) (any, error) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		s, err := c.Events(ctx, r)
		if err != nil {
			return nil, err
		}
		e, err := s.Recv()
		return map[string]string{"id": e.GetCursor()}, err
	}, product, operator, field}
}

func eventCalls() []doorCall {
	var at positions
	return []doorCall{
		followCall("events", "?product=demo", &api.EventsRequest{Product: "demo"}, 0, 0, ""),
		followCall("events of a kind, since", "?product=demo&kind=chat&since=10m", &api.EventsRequest{Product: "demo", Kind: "chat", SinceMs: 600_000}, 0, 0, ""),
		followCall("events behind a cursor", "?cursor="+at.cursor()+"&product=demo", &api.EventsRequest{Product: "demo", Cursor: at.cursor()}, 0, 0, ""),
		followCall("events of the own product", "", &api.EventsRequest{}, 0, code.InvalidArgument, "product"),
		followCall("events of another product", "?product=shop", &api.EventsRequest{Product: "shop"}, code.PermissionDenied, 0, "product"),
		followCall("events, bad product", "?product=a%20b", &api.EventsRequest{Product: "a b"}, code.InvalidArgument, code.InvalidArgument, "product"),
		followCall("events, bad kind", "?product=demo&kind=a%20b", &api.EventsRequest{Product: "demo", Kind: "a b"}, code.InvalidArgument, code.InvalidArgument, "kind"),
		followCall("events, since later", "?product=demo&since=-1s", &api.EventsRequest{Product: "demo", SinceMs: -1000}, code.InvalidArgument, code.InvalidArgument, "since"),
		followCall("events, bad cursor", "?product=demo&cursor=xyz", &api.EventsRequest{Product: "demo", Cursor: "xyz"}, code.InvalidArgument, code.InvalidArgument, "cursor"),
	}
}

func traceCall(name, path string, r *api.TraceMessageRequest, product, operator code.Code, field string) doorCall {
	return doorCall{name, "GET", path, "", func(ctx context.Context, c api.CenterClient) (any, error) {
		rep, err := c.TraceMessage(ctx, r)
		if err != nil {
			return nil, err
		}
		return answerTrace(rep), nil
	}, product, operator, field}
}

// traceCalls are about m-1, which the fake ledger has in both products.
func traceCalls() []doorCall {
	return []doorCall{
		traceCall("trace", "/v1/messages/m-1/trace", &api.TraceMessageRequest{Id: "m-1"}, 0, 0, ""),
		traceCall("trace in a product", "/v1/messages/m-1/trace?product=demo", &api.TraceMessageRequest{Id: "m-1", Product: "demo"}, 0, 0, ""),
		traceCall("trace of nothing", "/v1/messages/m-0/trace", &api.TraceMessageRequest{Id: "m-0"}, code.NotFound, code.NotFound, "id"),
		traceCall("trace in another product", "/v1/messages/m-1/trace?product=shop", &api.TraceMessageRequest{Id: "m-1", Product: "shop"}, code.PermissionDenied, 0, "product"),
		traceCall("trace, bad id", "/v1/messages/a%20b/trace", &api.TraceMessageRequest{Id: "a b"}, code.InvalidArgument, code.InvalidArgument, "id"),
	}
}
