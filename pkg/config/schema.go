package config

import (
	"encoding"
	"fmt"
	"reflect"
	"strings"
)

type kind int

const (
	kindSection kind = iota
	kindString
	kindBool
	kindInt
	kindUint
	kindFloat
	kindText // marshals itself: Duration, Size, netip.Addr
	kindList
	kindMap
)

// field is a struct (kindSection) or a key of the schema, and where its value
// came from.
type field struct {
	key      string // section.key; "" for the root
	name     string
	kind     kind
	val      reflect.Value // settable
	children []*field

	doc                    string
	minTag, maxTag         string
	min, max               reflect.Value // invalid: no bound
	oneof                  []string
	live, secret, required bool

	place   Place
	refused bool // some layer gave it a bad value
}

// schema is the tree of a struct with its indexes.
type schema struct {
	root  *field
	keys  []*field // in the order of the struct
	byKey map[string]*field
	byEnv map[string]*field
}

// EnvPrefix starts every environment variable that Load reads.
const EnvPrefix = "LONGLINK_"

func envName(key string) string {
	return EnvPrefix + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

// newSchema reads the tags of a settable struct. Its errors are mistakes in the
// program, not in a configuration.
func newSchema(v reflect.Value) (*schema, error) {
	s := &schema{byKey: map[string]*field{}, byEnv: map[string]*field{}}
	s.root = &field{val: v}
	if err := s.addChildren(s.root); err != nil {
		return nil, fmt.Errorf("config: %s: %w", v.Type(), err)
	}
	for _, section := range s.root.children {
		if section.kind != kindSection {
			return nil, fmt.Errorf("config: %s: %s is not a struct; only sections stand at the top", v.Type(), section.key)
		}
	}
	return s, nil
}

func (s *schema) addChildren(parent *field) error {
	t := parent.val.Type()
	for i := range t.NumField() {
		sf := t.Field(i)
		name := sf.Tag.Get("yaml")
		if !sf.IsExported() || name == "-" {
			continue
		}
		if !isKeyName(name) {
			return fmt.Errorf("field %s: the yaml tag %q is no snake_case name", sf.Name, name)
		}
		f := &field{name: name, key: name, val: parent.val.Field(i), place: Place{Layer: LayerDefault}}
		if parent.key != "" {
			f.key = parent.key + "." + name
		}
		if err := s.add(f, sf); err != nil {
			return fmt.Errorf("%s: %w", f.key, err)
		}
		parent.children = append(parent.children, f)
	}
	return nil
}

func (s *schema) add(f *field, sf reflect.StructField) error {
	var err error
	if f.kind, err = kindOf(sf.Type); err != nil {
		return err
	}
	if s.byKey[f.key] != nil {
		return fmt.Errorf("two fields have this name")
	}
	s.byKey[f.key] = f
	f.doc = strings.TrimSpace(sf.Tag.Get("doc"))
	if f.kind == kindSection {
		return s.addChildren(f)
	}
	s.keys = append(s.keys, f)
	env := envName(f.key)
	if other := s.byEnv[env]; other != nil {
		return fmt.Errorf("%s is also the variable of %s", env, other.key)
	}
	s.byEnv[env] = f
	return f.readTags(sf.Tag)
}

// readTags reads what a key's tags ask for.
func (f *field) readTags(tag reflect.StructTag) error {
	for name, into := range map[string]*bool{"live": &f.live, "secret": &f.secret, "required": &f.required} {
		switch v, ok := tag.Lookup(name); {
		case ok && v != "true":
			return fmt.Errorf(`the only value of the tag %s is "true", not %q`, name, v)
		case ok:
			*into = true
		}
	}
	f.oneof = strings.Fields(tag.Get("oneof"))
	if len(f.oneof) > 0 && f.kind != kindString && f.kind != kindList {
		return fmt.Errorf("the tag oneof is for strings")
	}
	f.minTag, f.maxTag = tag.Get("min"), tag.Get("max")
	var err error
	if f.min, err = f.bound(f.minTag); err != nil {
		return err
	}
	f.max, err = f.bound(f.maxTag)
	return err
}

func (f *field) bound(text string) (reflect.Value, error) {
	if text == "" {
		return reflect.Value{}, nil
	}
	if !f.isNumeric() {
		return reflect.Value{}, fmt.Errorf("the tags min and max are for numbers, Duration and Size")
	}
	v, bad := f.convert(text)
	if bad != nil {
		return v, fmt.Errorf("bound %q: %s", text, bad.message)
	}
	return v, nil
}

func (f *field) isNumeric() bool {
	return f.kind != kindList && f.kind != kindMap && (f.val.CanInt() || f.val.CanUint() || f.val.CanFloat())
}

func kindOf(t reflect.Type) (kind, error) {
	reads := reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
	writes := t.Implements(reflect.TypeFor[encoding.TextMarshaler]())
	switch k := t.Kind(); {
	case k == reflect.Pointer || k == reflect.Interface:
		return 0, fmt.Errorf("type %s: a pointer cannot show its default", t)
	case reads && writes:
		return kindText, nil
	case t.PkgPath() == "time" && t.Name() == "Duration":
		return 0, fmt.Errorf("use config.Duration: time.Duration reads as nanoseconds")
	case k == reflect.Struct:
		return kindSection, nil
	case k == reflect.String:
		return kindString, nil
	case k == reflect.Bool:
		return kindBool, nil
	case k >= reflect.Int && k <= reflect.Int64:
		return kindInt, nil
	case k >= reflect.Uint && k <= reflect.Uint64:
		return kindUint, nil
	case k == reflect.Float32 || k == reflect.Float64:
		return kindFloat, nil
	case k == reflect.Slice && t.Elem().Kind() == reflect.String:
		return kindList, nil
	case k == reflect.Map && t.Key().Kind() == reflect.String && t.Elem().Kind() == reflect.String:
		return kindMap, nil
	}
	return 0, fmt.Errorf("type %s is not supported", t)
}

func isKeyName(s string) bool {
	return s != "" && s[0] >= 'a' && s[0] <= 'z' && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
}

func (f *field) child(name string) *field {
	for _, c := range f.children {
		if c.name == name {
			return c
		}
	}
	return nil
}
