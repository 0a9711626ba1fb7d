package config

import (
	"cmp"
	"encoding"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// problem is what is wrong with a value, before its place is known.
type problem struct {
	message string
	nearest string
}

// parse reads the text form of a key's value (environment, flags, keeper, and
// the scalars of a file) and holds it against the key's bounds.
func (f *field) parse(text string) (reflect.Value, *problem) {
	v, bad := f.convert(text)
	if bad != nil {
		return v, f.discreet(bad)
	}
	return v, f.check(v)
}

// discreet keeps a secret out of the message about it.
func (f *field) discreet(bad *problem) *problem {
	if bad == nil || !f.secret {
		return bad
	}
	return &problem{message: "wants " + f.wants() + " within its limits (the value is secret and not shown)"}
}

// convert reads the text form without looking at bounds.
func (f *field) convert(text string) (reflect.Value, *problem) {
	v := reflect.New(f.val.Type()).Elem()
	wrong := &problem{message: "wants " + f.wants() + ", got " + quote(text)}
	if !utf8.ValidString(text) {
		return v, &problem{message: "is not valid UTF-8"}
	}
	switch f.kind {
	case kindString:
		v.SetString(text)
	case kindBool:
		if text != "true" && text != "false" {
			return v, wrong
		}
		v.SetBool(text == "true")
	case kindInt, kindUint:
		digits := strings.TrimPrefix(text, "-")
		if !isDecimal(digits) || len(digits) > 1 && digits[0] == '0' {
			return v, wrong
		}
		if !setInteger(v, text) {
			return v, &problem{message: shorten(text) + " is outside of what " + v.Type().String() + " can hold"}
		}
	case kindFloat:
		n, err := strconv.ParseFloat(text, v.Type().Bits())
		if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
			return v, wrong
		}
		v.SetFloat(n)
	case kindText:
		if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text)); err != nil {
			return v, &problem{message: strings.Join(strings.Fields(err.Error()), " ")}
		}
	case kindList:
		return f.convertList(text)
	case kindMap:
		return f.convertMap(text)
	}
	return v, nil
}

func setInteger(v reflect.Value, text string) bool {
	if v.CanUint() {
		n, err := strconv.ParseUint(text, 10, v.Type().Bits())
		v.SetUint(n)
		return err == nil
	}
	n, err := strconv.ParseInt(text, 10, v.Type().Bits())
	v.SetInt(n)
	return err == nil
}

func (f *field) convertList(text string) (reflect.Value, *problem) {
	var items []string
	if text != "" {
		items = strings.Split(text, ",")
	}
	for i := range items {
		if items[i] = strings.TrimSpace(items[i]); items[i] == "" {
			return f.val, &problem{message: "has an empty element; write a list as a,b,c"}
		}
	}
	return f.list(items), nil
}

func (f *field) convertMap(text string) (reflect.Value, *problem) {
	pairs := map[string]string{}
	if text != "" {
		for part := range strings.SplitSeq(text, ",") {
			k, v, ok := strings.Cut(part, "=")
			k = strings.TrimSpace(k)
			if !ok || k == "" {
				return f.val, &problem{message: quote(part) + " is no pair; write a map as k=v,k2=v2"}
			}
			if _, twice := pairs[k]; twice {
				return f.val, &problem{message: quote(k) + " is given twice"}
			}
			pairs[k] = strings.TrimSpace(v)
		}
	}
	return f.dict(pairs), nil
}

// list and dict make the key's own type; an empty value leaves an empty default
// as it is, nil or not.
func (f *field) list(items []string) reflect.Value {
	if len(items) == 0 && f.val.Len() == 0 {
		return f.val
	}
	v := reflect.MakeSlice(f.val.Type(), len(items), len(items))
	for i, s := range items {
		v.Index(i).SetString(s)
	}
	return v
}

func (f *field) dict(pairs map[string]string) reflect.Value {
	if len(pairs) == 0 && f.val.Len() == 0 {
		return f.val
	}
	t := f.val.Type()
	v := reflect.MakeMapWithSize(t, len(pairs))
	for k, s := range pairs {
		v.SetMapIndex(reflect.ValueOf(k).Convert(t.Key()), reflect.ValueOf(s).Convert(t.Elem()))
	}
	return v
}

// check holds a value against min, max and oneof.
func (f *field) check(v reflect.Value) *problem {
	return f.discreet(f.outside(v))
}

func (f *field) outside(v reflect.Value) *problem {
	if f.min.IsValid() && compare(v, f.min) < 0 {
		return &problem{message: textOf(v, f.kind) + " is below the minimum " + f.minTag}
	}
	if f.max.IsValid() && compare(v, f.max) > 0 {
		return &problem{message: textOf(v, f.kind) + " is above the maximum " + f.maxTag}
	}
	if len(f.oneof) == 0 {
		return nil
	}
	items := []string{}
	if f.kind == kindString {
		items = append(items, v.String())
	} else {
		for i := range v.Len() {
			items = append(items, v.Index(i).String())
		}
	}
	for _, s := range items {
		if !slices.Contains(f.oneof, s) {
			best, _ := nearest(s, f.oneof)
			return &problem{message: quote(s) + " is not one of " + strings.Join(f.oneof, ", "), nearest: best}
		}
	}
	return nil
}

func compare(a, b reflect.Value) int {
	switch {
	case a.CanInt():
		return cmp.Compare(a.Int(), b.Int())
	case a.CanUint():
		return cmp.Compare(a.Uint(), b.Uint())
	}
	return cmp.Compare(a.Float(), b.Float())
}

func (f *field) wants() string {
	switch f.kind {
	case kindSection:
		return "a section of keys"
	case kindString:
		return "a string"
	case kindBool:
		return "true or false"
	case kindInt, kindUint:
		return "an integer"
	case kindFloat:
		return "a number"
	case kindList:
		return "a list of strings"
	case kindMap:
		return "a map of strings"
	}
	switch f.val.Interface().(type) {
	case Duration:
		return "a duration such as 25s"
	case Size:
		return "a size such as 64KiB"
	}
	return "a " + strings.ToLower(f.val.Type().Name())
}

// textOf is the text form of a value, which convert reads back unless an
// element of a list or map contains a comma.
func textOf(v reflect.Value, k kind) string {
	switch k {
	case kindString:
		return v.String()
	case kindBool:
		return strconv.FormatBool(v.Bool())
	case kindInt:
		return strconv.FormatInt(v.Int(), 10)
	case kindUint:
		return strconv.FormatUint(v.Uint(), 10)
	case kindFloat:
		return strconv.FormatFloat(v.Float(), 'g', -1, v.Type().Bits())
	case kindText:
		b, err := v.Interface().(encoding.TextMarshaler).MarshalText()
		if err != nil {
			return "invalid: " + err.Error()
		}
		return string(b)
	case kindList:
		items := make([]string, v.Len())
		for i := range items {
			items[i] = v.Index(i).String()
		}
		return strings.Join(items, ",")
	case kindMap:
		items := make([]string, 0, v.Len())
		for it := v.MapRange(); it.Next(); {
			items = append(items, it.Key().String()+"="+it.Value().String())
		}
		slices.Sort(items)
		return strings.Join(items, ",")
	}
	return ""
}
