package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"longlink/pkg/code"
)

// Error is an API error as it came: the code with its message, the HTTP status
// and the id under which the gateway's logs know the request.
type Error struct {
	Cause     *code.Error
	Status    int
	RequestID string
}

// Error is the cause's text, with the request id when there is one.
func (e *Error) Error() string {
	if e.RequestID == "" {
		return e.Cause.Error()
	}
	return e.Cause.Error() + " (request " + e.RequestID + ")"
}

// Unwrap gives the code.Error.
func (e *Error) Unwrap() error { return e.Cause }

// CodeOf is the code of an API error, INTERNAL for any other error.
func CodeOf(err error) code.Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Cause.Code
	}
	return code.Internal
}

type errorBody struct {
	Error ResultError `json:"error"`
}

func apiError(res *http.Response, b []byte) error {
	e := &Error{Cause: &code.Error{Code: code.Internal}, Status: res.StatusCode, RequestID: res.Header.Get("X-Request-Id")}
	var eb errorBody
	if err := json.Unmarshal(b, &eb); err != nil || eb.Error.Code == "" {
		e.Cause.Message = fmt.Sprintf("HTTP %d without an error object; is this address a center?", res.StatusCode)
		e.Cause.Code = code.Malformed
		return e
	}
	e.Cause = eb.asError()
	return e
}

func (eb *errorBody) asError() *code.Error {
	c, ok := code.Lookup(eb.Error.Code)
	if !ok {
		c = code.Internal
	}
	return &code.Error{Code: c, Message: eb.Error.Message, Field: eb.Error.Field, Retry: time.Duration(eb.Error.RetryAfterMS) * time.Millisecond}
}
