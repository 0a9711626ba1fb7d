package center

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"

	"longlink/pkg/code"
)

// readBody reads a request's body up to max bytes.
func readBody(w http.ResponseWriter, r *http.Request, max int64) ([]byte, *code.Error) {
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, max))
	var tooLong *http.MaxBytesError
	switch {
	case errors.As(err, &tooLong):
		return nil, errBodyTooLong(max)
	case err != nil:
		return nil, code.Errorf(code.Malformed, "the body could not be read to its end")
	}
	return b, nil
}

func errBodyTooLong(max int64) *code.Error {
	return code.Errorf(code.PayloadTooLarge, "the body is longer than %d bytes", max)
}

// decode reads one JSON object into the struct that into points to, by its json
// tags. Unlike encoding/json it takes names in their exact form only, and
// refuses, with the field's name, unknown and repeated fields. What is not one
// JSON object in UTF-8 and nothing behind it is MALFORMED.
func decode(body []byte, into any) *code.Error {
	if !utf8.Valid(body) {
		return code.Errorf(code.Malformed, "the body is not UTF-8")
	}
	return decodeObject(body, into)
}

// decodeObject is decode for a body whose parts are checked for UTF-8 later.
func decodeObject(body []byte, into any) *code.Error {
	fields := fieldsOf(into)
	return eachField(body, func(name string, value json.RawMessage) *code.Error {
		field, ok := fields[name]
		if !ok {
			return code.Invalid(shorten(name), "there is no such field here")
		}
		err := json.Unmarshal(value, field.Addr().Interface())
		var ce *code.Error
		switch {
		case err == nil:
			return nil
		case errors.As(err, &ce):
			return ce.WithField(name)
		}
		return code.Invalid(name, "wants %s", wanted(field.Type()))
	})
}

// eachField calls fn for every field of a JSON object and refuses repeated
// names.
func eachField(body []byte, fn func(name string, value json.RawMessage) *code.Error) *code.Error {
	malformed := func() *code.Error {
		if len(bytes.TrimSpace(body)) == 0 {
			return code.Errorf(code.Malformed, "the body is empty, it must be a JSON object")
		}
		return code.Errorf(code.Malformed, "the body is not a JSON object")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return malformed()
	}
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		var value json.RawMessage
		if err != nil || !ok || d.Decode(&value) != nil {
			return malformed()
		}
		if seen[name] {
			return code.Invalid(shorten(name), "is given twice")
		}
		seen[name] = true
		if err := fn(name, value); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return malformed()
	}
	if _, err := d.Token(); err != io.EOF {
		return code.Errorf(code.Malformed, "there is something behind the JSON object")
	}
	return nil
}

// fieldsOf maps the json names of a struct to its fields.
func fieldsOf(into any) map[string]reflect.Value {
	v := reflect.ValueOf(into).Elem()
	out := make(map[string]reflect.Value, v.NumField())
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		out[name] = v.Field(i)
	}
	return out
}

// wanted says in words what a field of a type takes.
func wanted(t reflect.Type) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == reflect.TypeFor[[]byte]():
		return "base64 text (RFC 4648, with padding)"
	case t == reflect.TypeFor[[]json.RawMessage]():
		return "a list of objects"
	case t.Kind() == reflect.String:
		return "text"
	case t.Kind() == reflect.Slice:
		return "a list of texts"
	case t.Kind() == reflect.Map:
		return "an object of texts"
	}
	return "a whole number that is not negative"
}

// shorten keeps a caller's own words from filling an answer.
func shorten(s string) string {
	if len(s) <= 64 {
		return s
	}
	return strings.ToValidUTF8(s[:61], "") + "..."
}

// texts is a JSON object of texts, without repeated names.
type texts map[string]string

// UnmarshalJSON implements json.Unmarshaler; null is no entry.
func (t *texts) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	*t = texts{}
	err := eachField(b, func(name string, value json.RawMessage) *code.Error {
		var s *string
		if json.Unmarshal(value, &s) != nil || s == nil {
			return code.Invalid("", "the value of %q must be text", shorten(name))
		}
		(*t)[name] = *s
		return nil
	})
	switch {
	case err == nil:
		return nil
	case err.Code == code.Malformed:
		return errors.New("not an object")
	case err.Field != "": // a repeated name
		return code.Invalid("", "%q is given twice", err.Field)
	}
	return err
}

// period is a duration as people write it: 24h, 1m30s.
type period time.Duration

// UnmarshalJSON implements json.Unmarshaler.
func (p *period) UnmarshalJSON(b []byte) error {
	var s string
	if json.Unmarshal(b, &s) != nil {
		return code.Invalid("", `wants a duration in quotes, such as "24h"`)
	}
	d, err := parsePeriod(s)
	if err != nil {
		return err
	}
	*p = d
	return nil
}

func parsePeriod(s string) (period, *code.Error) {
	d, err := time.ParseDuration(s)
	switch {
	case err != nil:
		return 0, code.Invalid("", "wants a duration such as 24h or 1m30s, not %q", shorten(s))
	case d < 0:
		return 0, code.Invalid("", "must not be negative")
	}
	return period(d), nil
}

// millis rounds up, so that a period above zero stays above zero.
func (p period) millis() int64 {
	return (int64(p) + int64(time.Millisecond) - 1) / int64(time.Millisecond)
}
