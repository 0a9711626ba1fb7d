package config

import (
	"fmt"
	"io"
	"os"
	"reflect"
)

// Options names what Load reads over the defaults. Every part may be empty.
type Options struct {
	File string // path of the YAML file
	Data []byte // read instead of File when not nil
	Name string // what errors call Data

	// Live is what keeper holds, by "section.key". Keys that are not marked
	// live are taken too: for them it counts from the next start on, so a
	// process that loads again applies only the keys whose Origin is Live.
	Live map[string]string

	Env   []string          // as os.Environ gives it; an empty value is unset
	Flags map[string]string // by "section.key"; an empty value is a value
}

// maxFileBytes bounds what Load reads: the annotated default of everything is
// two orders of magnitude smaller.
const maxFileBytes = 1 << 20

// Validator is what a section or the whole configuration implements to check
// keys against each other. Load calls it last, and only where every key below
// has a good value: a complaint about a default that stands in for a refused
// value would mislead.
type Validator interface {
	Validate() []FieldError
}

// Load fills dst, a pointer to a struct that holds the defaults, from the
// layers. All mistakes of all layers come back as one *Errors, and dst is then
// as it was. A file that cannot be read is an error that wraps the reason.
func Load(dst any, opts Options) (*Result, error) {
	ptr := reflect.ValueOf(dst)
	if ptr.Kind() != reflect.Pointer || ptr.IsNil() || ptr.Elem().Kind() != reflect.Struct {
		return nil, fmt.Errorf("config: Load needs a pointer to a struct, got %T", dst)
	}
	work := reflect.New(ptr.Elem().Type()).Elem()
	work.Set(ptr.Elem())
	s, err := newSchema(work)
	if err != nil {
		return nil, err
	}
	data, name, err := opts.read()
	if err != nil {
		return nil, err
	}
	l := &loader{schema: s}
	whole := l.file(name, data)
	l.keyed(LayerKeeper, opts.Live)
	l.environment(opts.Env)
	l.keyed(LayerFlag, opts.Flags)
	if whole {
		l.finish(s.root)
	}
	if len(l.errs) > 0 {
		return nil, &Errors{Fields: l.errs}
	}
	ptr.Elem().Set(work)
	return newResult(s), nil
}

func (o Options) read() (data []byte, name string, err error) {
	switch {
	case o.Data != nil:
		data, name = o.Data, o.Name
	case o.File == "":
		return nil, "", nil
	default:
		name = o.File
		f, err := os.Open(o.File)
		if err != nil {
			return nil, "", fmt.Errorf("config: %w", err)
		}
		defer f.Close()
		if data, err = io.ReadAll(io.LimitReader(f, maxFileBytes+1)); err != nil {
			return nil, "", fmt.Errorf("config: %w", err)
		}
	}
	if len(data) > maxFileBytes {
		return nil, "", fmt.Errorf("config: %s is larger than %s; is it the right file?", name, Size(maxFileBytes))
	}
	return data, name, nil
}

// loader is one call of Load: the schema it fills and what it has to complain
// about.
type loader struct {
	schema *schema
	errs   []FieldError
}

func (l *loader) complain(at Place, key, nearest, format string, args ...any) {
	l.errs = append(l.errs, FieldError{Place: at, Key: key, Message: fmt.Sprintf(format, args...), Nearest: nearest})
}

// put sets a key from one layer, or notes why not.
func (l *loader) put(f *field, v reflect.Value, bad *problem, at Place) {
	if bad != nil {
		f.refused = true
		l.complain(at, f.key, bad.nearest, "%s", bad.message)
		return
	}
	f.val.Set(v)
	f.place = at
}

// finish checks what no single layer can: defaults nobody replaced, required
// keys, and Validate from the inside out. It reports whether all below f is good.
func (l *loader) finish(f *field) bool {
	if f.kind != kindSection {
		return l.finishKey(f)
	}
	good := !f.refused
	for _, c := range f.children {
		good = l.finish(c) && good
	}
	v, ok := f.val.Addr().Interface().(Validator)
	if !ok || !good {
		return good
	}
	found := v.Validate()
	for _, e := range found {
		switch {
		case e.Key == "":
			e.Key = f.key
		case f.key != "":
			e.Key = f.key + "." + e.Key
		}
		e.Place = Place{Layer: LayerDefault}
		if at := l.schema.byKey[e.Key]; at != nil {
			e.Place = at.place
		}
		l.errs = append(l.errs, e)
	}
	return len(found) == 0
}

func (l *loader) finishKey(f *field) bool {
	switch {
	case f.refused:
		return false
	case f.required && f.isZero():
		l.complain(f.place, f.key, "", "is required; set it in the file or with %s", envName(f.key))
		return false
	case f.place.Layer != LayerDefault:
		return true
	}
	if bad := f.check(f.val); bad != nil {
		l.complain(f.place, f.key, bad.nearest, "the default %s", bad.message)
		return false
	}
	return true
}

func (f *field) isZero() bool {
	if f.kind == kindList || f.kind == kindMap {
		return f.val.Len() == 0
	}
	return f.val.IsZero()
}
