package config

import (
	"bytes"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// commentWidth is where comments break, in columns with the indentation.
const commentWidth = 90

// Annotated writes a filled struct (or a pointer to one) as the YAML file that
// a person edits: every key with its doc, its bounds and whether it is live.
// Loaded over the same struct it changes nothing. A secret that is set is
// written as a comment without its value.
//
// It panics when v is no configuration struct, and when a value cannot be
// written: both are mistakes in the program.
func Annotated(v any) []byte {
	value := reflect.Indirect(reflect.ValueOf(v))
	if value.Kind() != reflect.Struct {
		panic(fmt.Sprintf("config: Annotated needs a struct, got %T", v))
	}
	work := reflect.New(value.Type()).Elem()
	work.Set(value)
	s, err := newSchema(work)
	if err != nil {
		panic(err)
	}
	w := &writer{}
	for i, section := range s.root.children {
		if i > 0 {
			w.WriteByte('\n')
		}
		w.field(section, "")
	}
	return w.Bytes()
}

type writer struct {
	bytes.Buffer
}

func (w *writer) field(f *field, indent string) {
	w.comment(f.comment(), indent)
	inner := indent + "  "
	switch {
	case f.kind == kindSection && len(f.children) == 0:
		w.line(indent, f.name, ": {}")
	case f.kind == kindSection:
		w.line(indent, f.name, ":")
		for _, c := range f.children {
			w.field(c, inner)
		}
	case f.secret && !f.isZero():
		w.line(indent, "# ", f.name, ": not shown")
	case f.kind == kindList && f.val.Len() == 0:
		w.line(indent, f.name, ": []")
	case f.kind == kindMap && f.val.Len() == 0:
		w.line(indent, f.name, ": {}")
	case f.kind == kindList:
		w.line(indent, f.name, ":")
		for i := range f.val.Len() {
			w.line(inner, "- ", scalar(f.val.Index(i).String()))
		}
	case f.kind == kindMap:
		w.line(indent, f.name, ":")
		pairs := map[string]string{}
		for it := f.val.MapRange(); it.Next(); {
			pairs[it.Key().String()] = it.Value().String()
		}
		for _, k := range slices.Sorted(maps.Keys(pairs)) {
			w.line(inner, scalar(k), ": ", scalar(pairs[k]))
		}
	case f.kind == kindString || f.kind == kindText:
		w.line(indent, f.name, ": ", scalar(textOf(f.val, f.kind)))
	default:
		w.line(indent, f.name, ": ", textOf(f.val, f.kind))
	}
}

func (w *writer) line(parts ...string) {
	for _, p := range parts {
		w.WriteString(p)
	}
	w.WriteByte('\n')
}

// comment wraps each line of text by itself.
func (w *writer) comment(text, indent string) {
	if text == "" {
		return
	}
	for paragraph := range strings.SplitSeq(text, "\n") {
		line := indent + "#"
		for word := range strings.FieldsSeq(paragraph) {
			if utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > commentWidth && line != indent+"#" {
				w.line(line)
				line = indent + "#"
			}
			line += " " + word
		}
		w.line(line)
	}
}

// comment is the doc with what the tags say behind it.
func (f *field) comment() string {
	var facts []string
	switch {
	case f.minTag != "" && f.maxTag != "":
		facts = append(facts, f.minTag+" to "+f.maxTag)
	case f.minTag != "":
		facts = append(facts, "at least "+f.minTag)
	case f.maxTag != "":
		facts = append(facts, "at most "+f.maxTag)
	}
	if len(f.oneof) > 0 {
		facts = append(facts, "one of "+strings.Join(f.oneof, ", "))
	}
	for _, fact := range []struct {
		holds bool
		word  string
	}{{f.required, "required"}, {f.secret, "secret"}, {f.live, "live"}} {
		if fact.holds {
			facts = append(facts, fact.word)
		}
	}
	if facts == nil {
		return f.doc
	}
	return strings.TrimSpace(f.doc + " (" + strings.Join(facts, "; ") + ")")
}

// scalar writes a string so that every YAML reader takes it for that string.
func scalar(s string) string {
	if !utf8.ValidString(s) {
		panic(fmt.Sprintf("config: %q is not valid UTF-8", s))
	}
	var node any = s
	// The encoder takes << for a merge key even as a value.
	if s == "<<" || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		node = &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s, Style: yaml.DoubleQuotedStyle}
	}
	b, err := yaml.Marshal(node)
	if err != nil {
		panic(fmt.Sprintf("config: %q: %v", s, err))
	}
	return strings.TrimRight(string(b), "\n")
}
