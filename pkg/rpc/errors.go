package rpc

import (
	"context"
	"errors"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"longlink/pkg/api"
	"longlink/pkg/code"
)

// ResultOf turns an error into an item's Result; nil stays nil (OK). An error
// that is no *code.Error becomes INTERNAL without its text, which may hold what
// the caller must not see; log it before.
func ResultOf(err error) *api.Result {
	if err == nil {
		return nil
	}
	var e *code.Error
	if !errors.As(err, &e) {
		e = code.Errorf(code.Internal, "internal fault")
	}
	if e == nil {
		return nil
	}
	// protobuf refuses strings that are not UTF-8, which would cost the whole
	// batch.
	return &api.Result{Code: uint32(e.Code), Message: strings.ToValidUTF8(e.Message, "\uFFFD"),
		RetryMs: uint32(e.Retry.Milliseconds()), Field: strings.ToValidUTF8(e.Field, "\uFFFD")}
}

// ErrorOf turns a Result into an error; nil and code 0 are OK.
func ErrorOf(r *api.Result) *code.Error {
	if r == nil || r.Code == 0 {
		return nil
	}
	return &code.Error{Code: code.Code(r.Code), Message: r.Message, Field: r.Field, Retry: millis(r.RetryMs)}
}

// grpcCodes maps an HTTP status of the code table to gRPC's own codes.
var grpcCodes = map[int]codes.Code{
	400: codes.InvalidArgument, 401: codes.Unauthenticated, 403: codes.PermissionDenied, 404: codes.NotFound,
	409: codes.FailedPrecondition, 413: codes.InvalidArgument, 429: codes.ResourceExhausted,
	503: codes.Unavailable, 504: codes.DeadlineExceeded,
}

// toStatus makes the gRPC status of a failed unary call, with the Result as
// its detail. A nil *code.Error that a handler returned as an error is nil.
func toStatus(err error) error {
	if err == nil {
		return nil
	}
	if ce := (*code.Error)(nil); errors.As(err, &ce) && ce == nil {
		return nil
	}
	if s, ok := status.FromError(err); ok && s.Code() != codes.Unknown {
		return err
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return status.FromContextError(err).Err()
	}
	r := ResultOf(err)
	gc, ok := grpcCodes[code.Code(r.Code).HTTP()]
	if !ok {
		gc = codes.Internal
	}
	s := status.New(gc, r.Message)
	if d, derr := s.WithDetails(r); derr == nil {
		s = d
	}
	return s.Err()
}

// FromStatus turns what a unary call or a stream returned into a code: the
// Result in the detail, else UNAVAILABLE, DEADLINE or INTERNAL by gRPC's code.
func FromStatus(err error) *code.Error {
	if err == nil {
		return nil
	}
	var ce *code.Error
	if errors.As(err, &ce) {
		return ce
	}
	s, _ := status.FromError(err)
	for _, d := range s.Details() {
		if r, ok := d.(*api.Result); ok {
			return ErrorOf(r)
		}
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded) || s.Code() == codes.DeadlineExceeded:
		return code.Errorf(code.Deadline, "no answer in time")
	case s.Code() == codes.Unavailable || s.Code() == codes.Canceled || errors.Is(err, context.Canceled):
		return code.Errorf(code.Unavailable, "the other service cannot be reached: %s", s.Message())
	case s.Code() == codes.ResourceExhausted:
		return code.Errorf(code.RateLimited, "%s", s.Message())
	case s.Code() == codes.InvalidArgument:
		return code.Errorf(code.InvalidArgument, "%s", s.Message())
	}
	return code.Errorf(code.Internal, "internal fault: %s", s.Message())
}
