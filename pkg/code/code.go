// Package code holds the one table of codes: what went wrong, under which name
// and number, and what the other side is to do about it.
//
// The same code is a number on the device wire and inside internal RPC, a
// string in the API's error object, a log field and a metric label. The table
// in table.go is the only place where a code is defined; docs/protocol.md and
// docs/codes.md carry a copy that a test holds equal.
package code

import (
	"fmt"
	"log/slog"
	"strconv"
	"time"
)

// Code is one row's number. The thousands digit is the action, so a peer that
// meets a number it does not know still knows what to do: see Action.
type Code uint16

// Action is what the receiver of a code is to do, the thousands digit of the
// number.
type Action uint8

// The actions. A code of 6000 and above is from the future and is treated as
// RetryAfter.
const (
	// None: success or plain information, nothing to do.
	None Action = 0
	// RetryNow: the same thing may be tried again at once (with the usual
	// jittered back-off if it fails again).
	RetryNow Action = 1
	// RetryAfter: try again after retry_ms (the hint beside the code; the row's
	// own RetryMS when there is none).
	RetryAfter Action = 2
	// OtherAddress: ask the dispatcher again and connect to another address.
	OtherAddress Action = 3
	// Never: the same thing will fail again: mend the request, token or key.
	Never Action = 4
	// Drop: a reason for which the gateway dropped something; it appears in
	// metrics, logs and traces and is never sent to a device.
	Drop Action = 5
)

var actionNames = [...]string{"none", "retry now", "retry after", "other address", "never", "drop"}

// String is the action's name as the documents use it.
func (a Action) String() string {
	if int(a) < len(actionNames) {
		return actionNames[a]
	}
	return actionNames[RetryAfter]
}

// Row is one line of the table.
type Row struct {
	Code    Code
	Name    string // the API's error code, log field and metric label
	HTTP    int    // status of an API answer that carries it; 0: never there
	RetryMS uint32 // default hint in milliseconds for RetryAfter, else 0
	Wire    bool   // may be sent to a device
	Meaning string // one sentence: what happened and what to do
}

// Action is the thousands digit of the code.
func (c Code) Action() Action {
	a := Action(c / 1000)
	if a > Drop {
		return RetryAfter
	}
	return a
}

// Row looks the code up; a number that is not in the table gets a row made of
// its action.
func (c Code) Row() Row {
	if i, ok := byCode[c]; ok {
		return Table[i]
	}
	return Row{Code: c, Name: "CODE_" + strconv.Itoa(int(c)), HTTP: 500, Meaning: "unknown code of a newer peer: " + c.Action().String()}
}

// String is the name in the table.
func (c Code) String() string { return c.Row().Name }

// HTTP is the status for an API answer.
func (c Code) HTTP() int { return c.Row().HTTP }

// LogValue logs the name.
func (c Code) LogValue() slog.Value { return slog.StringValue(c.String()) }

// Lookup finds a code by its name.
func Lookup(name string) (Code, bool) {
	c, ok := byName[name]
	return c, ok
}

// Error is a code with its particulars, the form in which errors travel
// between functions, over RPC and into the API's error object.
type Error struct {
	Code    Code
	Message string        // one sentence that says what to do
	Field   string        // the request field that is wrong, if one is
	Retry   time.Duration // hint; 0 takes the row's default
}

// Errorf makes an Error.
func Errorf(c Code, format string, args ...any) *Error {
	return &Error{Code: c, Message: fmt.Sprintf(format, args...)}
}

// Invalid makes an INVALID_ARGUMENT for a field.
func Invalid(field, format string, args ...any) *Error {
	return &Error{Code: InvalidArgument, Field: field, Message: fmt.Sprintf(format, args...)}
}

// WithField names the field that is wrong.
func (e *Error) WithField(field string) *Error { e.Field = field; return e }

// WithRetry sets the hint.
func (e *Error) WithRetry(d time.Duration) *Error { e.Retry = d; return e }

// RetryMS is the hint in milliseconds: the error's own, else the row's default.
func (e *Error) RetryMS() uint32 {
	if e.Retry > 0 {
		return uint32(min(e.Retry.Milliseconds(), int64(^uint32(0))))
	}
	return e.Code.Row().RetryMS
}

// Error implements error: NAME: field: message.
func (e *Error) Error() string {
	s := e.Code.String()
	if e.Field != "" {
		s += ": " + e.Field
	}
	if e.Message != "" {
		s += ": " + e.Message
	}
	return s
}

var (
	byCode = index(func(r Row) Code { return r.Code })
	byName = names()
)

func index(key func(Row) Code) map[Code]int {
	m := make(map[Code]int, len(Table))
	for i, r := range Table {
		m[key(r)] = i
	}
	return m
}

func names() map[string]Code {
	m := make(map[string]Code, len(Table))
	for _, r := range Table {
		m[r.Name] = r.Code
	}
	return m
}
