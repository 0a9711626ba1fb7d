package center

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"longlink/pkg/api"
	"longlink/pkg/code"
)

// grpcCalls are the metric labels of the methods, the same as REST's.
var grpcCalls = map[string]string{
	"Push": "push", "PushBatch": "push_batch", "GetDevice": "get_device", "QueryDevices": "query_devices", "KickDevice": "kick_device",
	"AddAlias": "add_alias", "RemoveAlias": "remove_alias", "GetAlias": "get_alias", "RecallMessage": "recall_message", "ListRooms": "list_rooms",
	"ListServices": "list_services", "ListProducts": "list_products", "GetProduct": "get_product", "CreateProduct": "create_product",
	"TraceMessage": "trace_message", "Events": callEvents, "RotateProductKey": "rotate_product_key", "DeleteProduct": "delete_product", "CreateToken": "create_token",
}

// callEvents is the one call that lasts.
const callEvents = "events"

func isGRPC(r *http.Request) bool {
	return r.ProtoMajor == 2 && strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc")
}

// newGRPC makes the gRPC server: the generated service, with each method behind
// answerGRPC.
func newGRPC(d *door) *grpc.Server {
	// serveGRPC holds the limits; this one is only not to be below them.
	g := grpc.NewServer(grpc.ForceServerCodecV2(newCodec()), grpc.MaxRecvMsgSize(max(maxBatchBody, int(d.s.cfg.MaxBody))))
	desc := api.Center_ServiceDesc
	desc.Methods = append([]grpc.MethodDesc{}, desc.Methods...)
	for i, m := range desc.Methods {
		handler := m.Handler
		desc.Methods[i].Handler = func(srv any, ctx context.Context, dec func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			return d.answerGRPC(ctx, grpcCalls[m.MethodName], func() (any, error) {
				return handler(srv, ctx, func(into any) error {
					e := envelope{into: into}
					if err := dec(&e); err != nil {
						return err
					}
					if e.err != nil {
						return errUnreadable()
					}
					return nil
				}, nil)
			})
		}
	}
	desc.Streams = append([]grpc.StreamDesc{}, desc.Streams...)
	for i, m := range desc.Streams {
		handler := m.Handler
		desc.Streams[i].Handler = func(srv any, stream grpc.ServerStream) error {
			_, err := d.answerGRPC(stream.Context(), grpcCalls[m.StreamName], func() (any, error) {
				return nil, handler(srv, messageStream{stream})
			})
			return err
		}
	}
	g.RegisterService(&desc, d.s)
	return g
}

// messageStream tells a message that cannot be read as the unary calls do.
type messageStream struct{ grpc.ServerStream }

// RecvMsg implements grpc.ServerStream.
func (s messageStream) RecvMsg(into any) error {
	e := envelope{into: into}
	if err := s.ServerStream.RecvMsg(&e); err != nil {
		return err
	}
	if e.err != nil {
		return errUnreadable()
	}
	return nil
}

func errUnreadable() *code.Error {
	return code.Errorf(code.Malformed, "the message cannot be read")
}

// serveGRPC does for a gRPC call what serve does for one of REST before its
// route: key, limits and request id are in the headers that gRPC calls
// metadata.
func (d *door) serveGRPC(w http.ResponseWriter, r *http.Request) {
	c := visit{call: "none", began: time.Now()}
	ctx := d.identify(w, r)
	method := strings.TrimPrefix(r.URL.Path, "/"+api.Center_ServiceDesc.ServiceName+"/")
	name, ok := grpcCalls[method]
	if !ok {
		d.refuseGRPC(ctx, w, c, errNoSuchCall(r))
		return
	}
	c.call = name
	a, err := d.admit(r, c.began)
	if err != nil {
		d.refuseGRPC(ctx, w, c, err)
		return
	}
	defer a.leave()
	c.who = a.who
	batch := name == "push_batch"
	size, err := peekLength(r, d.s.cfg.bodyLimit(batch))
	if err == nil && batch {
		if err = d.s.budget.take(a.who.product, 0, size); err == nil {
			defer d.s.budget.free(a.who.product, 0, size)
		}
	}
	if err != nil {
		d.refuseGRPC(ctx, w, c, err)
		return
	}
	ctx = withPrincipal(ctx, a.who)
	if name == callEvents {
		var end func()
		ctx, end = d.stay(ctx, w, r, a)
		defer end()
	}
	d.grpc.ServeHTTP(w, r.WithContext(ctx))
}

// peekLength reads the length before the message and leaves the body as it was.
// Compressed messages are refused: their length says nothing.
func peekLength(r *http.Request, limit int64) (int64, *code.Error) {
	var head [5]byte
	if _, err := io.ReadFull(r.Body, head[:]); err != nil {
		return 0, code.Errorf(code.Malformed, "the message could not be read to its end")
	}
	if head[0] != 0 {
		return 0, code.Errorf(code.Malformed, "compressed messages are not taken")
	}
	size := int64(binary.BigEndian.Uint32(head[1:]))
	if size > limit {
		return 0, errBodyTooLong(limit)
	}
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(head[:]), r.Body), r.Body}
	return size, nil
}

// answerGRPC calls a method. It may outlive serveGRPC, when the caller goes
// away.
func (d *door) answerGRPC(ctx context.Context, name string, do func() (any, error)) (out any, err error) {
	c := visit{call: name, began: time.Now()}
	c.who, _ = ctx.Value(principalKey{}).(principal)
	err = d.guard.Guard("center.grpc", func() error {
		if !d.begin() {
			return errStopping()
		}
		defer d.end()
		var derr error
		out, derr = do()
		return derr
	})
	e := d.failure(ctx, err)
	d.note(ctx, c, e, err)
	if e != nil {
		return nil, statusOf(e).Err()
	}
	return out, nil
}

// refuseGRPC answers without the server: an answer of headers only.
func (d *door) refuseGRPC(ctx context.Context, w http.ResponseWriter, c visit, e *code.Error) {
	s := statusOf(e)
	if c.call == "none" {
		p := s.Proto()
		p.Code = int32(codes.Unimplemented)
		s = status.FromProto(p)
	}
	h := w.Header()
	h.Set("Content-Type", "application/grpc")
	h.Set("Grpc-Status", strconv.Itoa(int(s.Code())))
	h.Set("Grpc-Message", url.PathEscape(s.Message()))
	if b, err := proto.Marshal(s.Proto()); err == nil {
		h.Set("Grpc-Status-Details-Bin", base64.RawStdEncoding.EncodeToString(b))
	}
	w.WriteHeader(http.StatusOK)
	d.note(ctx, c, e, e)
}

// statusOf is an error as gRPC tells it, with the api.Result as its detail.
func statusOf(e *code.Error) *status.Status {
	body := errorOf(e)
	s := status.New(grpcCode(e.Code), strings.ToValidUTF8(body.Message, "\uFFFD"))
	detailed, err := s.WithDetails(&api.Result{Code: uint32(e.Code), Message: s.Message(), RetryMs: e.RetryMS(), Field: strings.ToValidUTF8(e.Field, "\uFFFD")})
	if err != nil {
		return s
	}
	return detailed
}

// grpcCode is gRPC's own code, by the HTTP status where nothing fits better.
func grpcCode(c code.Code) codes.Code {
	switch c {
	case code.Unknown:
		return codes.Unknown
	case code.AlreadyExists:
		return codes.AlreadyExists
	case code.Conflict:
		return codes.Aborted
	}
	switch c.HTTP() {
	case 400, 413:
		return codes.InvalidArgument
	case 401:
		return codes.Unauthenticated
	case 403:
		return codes.PermissionDenied
	case 404:
		return codes.NotFound
	case 409:
		return codes.FailedPrecondition
	case 429:
		return codes.ResourceExhausted
	case 503:
		return codes.Unavailable
	case 504:
		return codes.DeadlineExceeded
	}
	return codes.Internal
}
