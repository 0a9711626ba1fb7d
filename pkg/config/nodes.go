package config

import (
	"reflect"

	"go.yaml.in/yaml/v3"
)

// document walks the nodes of one file along the schema, so that its depth is
// the schema's whatever the file holds.
type document struct {
	*loader
	name string
}

func (d document) at(n *yaml.Node) Place {
	return Place{Layer: LayerFile, Source: d.name, Line: n.Line, Column: n.Column}
}

// section applies a mapping to a struct. A section without a value is one whose
// keys are all commented out.
func (d document) section(f *field, n *yaml.Node) {
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" {
		return
	}
	if n.Kind != yaml.MappingNode || n.ShortTag() != "!!map" {
		f.refused = true
		d.complain(d.at(n), f.key, "", "wants %s, got %s", f.wants(), describe(n))
		return
	}
	d.pairs(f, n, func(k, v *yaml.Node) {
		c := f.child(k.Value)
		switch {
		case c == nil:
			f.refused = true // what was meant keeps a default nobody asked for
			d.complain(d.at(k), join(f.key, nameOf(k.Value)), d.schema.nearestChild(f, k.Value), "unknown key")
		case c.kind == kindSection:
			c.place = d.at(k)
			d.section(c, v)
		default:
			d.value(c, k, v)
		}
	})
}

// pairs calls each for every key of a mapping that is a plain name and stands
// there once; it refuses the others.
func (d document) pairs(f *field, n *yaml.Node, each func(k, v *yaml.Node)) {
	first := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		line, twice := first[k.Value]
		switch {
		case k.Kind != yaml.ScalarNode:
			f.refused = true
			d.complain(d.at(k), f.key, "", "a key is a plain name, not %s", describe(k))
		case k.ShortTag() == "!!merge":
			f.refused = true
			d.complain(d.at(k), join(f.key, "<<"), "", "merge keys are not read; write the keys out")
		case twice:
			f.refused = true
			d.complain(d.at(k), join(f.key, nameOf(k.Value)), "", "is set twice; first on line %d", line)
		default:
			first[k.Value] = k.Line
			each(k, n.Content[i+1])
		}
	}
}

// value applies a node to a key. What is wrong is reported where it stands,
// which in a list or map is the element.
func (d document) value(f *field, k, n *yaml.Node) {
	refusals := len(d.errs)
	var v reflect.Value
	var bad *problem
	switch {
	case f.kind == kindList && n.Kind == yaml.SequenceNode && n.ShortTag() == "!!seq":
		items := make([]string, 0, len(n.Content))
		for _, e := range n.Content {
			items = append(items, d.element(f, e))
		}
		v = f.list(items)
		bad = f.check(v)
	case f.kind == kindMap && n.Kind == yaml.MappingNode && n.ShortTag() == "!!map":
		pairs := map[string]string{}
		d.pairs(f, n, func(k, e *yaml.Node) { pairs[k.Value] = d.element(f, e) })
		v = f.dict(pairs)
	case f.accepts(n):
		v, bad = f.parse(n.Value)
	default:
		bad = f.mismatch(n)
	}
	switch {
	case len(d.errs) > refusals:
		f.refused = true
	case bad != nil:
		d.put(f, v, bad, d.at(n))
	default:
		d.put(f, v, nil, d.at(k))
	}
}

// element reads a string inside a list or map.
func (d document) element(f *field, n *yaml.Node) string {
	if !isStringNode(n) {
		hint := ""
		if n.Kind == yaml.ScalarNode {
			hint = "; quote it"
		}
		d.complain(d.at(n), f.key, "", "wants strings inside, got %s%s", describe(n), hint)
	}
	return n.Value
}

// isStringNode takes numbers and dates as they are written: an id such as 0017
// needs no quotes. true, false and null do.
func isStringNode(n *yaml.Node) bool {
	if n.Kind != yaml.ScalarNode {
		return false
	}
	switch n.ShortTag() {
	case "!!str", "!!int", "!!float", "!!timestamp":
		return true
	}
	return false
}

// accepts says whether the node is of the YAML kind that a scalar key wants.
func (f *field) accepts(n *yaml.Node) bool {
	if n.Kind != yaml.ScalarNode {
		return false
	}
	tag := n.ShortTag()
	switch f.kind {
	case kindString, kindText:
		return isStringNode(n)
	case kindBool:
		return tag == "!!bool"
	case kindInt, kindUint:
		return tag == "!!int"
	case kindFloat:
		return tag == "!!int" || tag == "!!float"
	}
	return false
}

func (f *field) mismatch(n *yaml.Node) *problem {
	message := "wants " + f.wants() + ", got " + describe(n)
	switch {
	case n.Kind == yaml.ScalarNode && f.kind == kindList:
		message += "; write [a, b], or [] for none"
	case n.Kind == yaml.ScalarNode && f.kind == kindMap:
		message += "; write {k: v}, or {} for none"
	case n.Kind == yaml.ScalarNode && n.ShortTag() == "!!bool" && f.kind == kindString:
		message += "; quote it"
	case n.Kind == yaml.ScalarNode && n.ShortTag() == "!!str" && !f.secret:
		message += " " + quote(n.Value)
	}
	return &problem{message: message}
}

// describe names what stands in the file, in words.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias (aliases are not read; write the value out)"
	}
	switch n.ShortTag() {
	case "!!null":
		return "nothing"
	case "!!bool":
		return "a boolean"
	case "!!int":
		return "an integer"
	case "!!float":
		return "a number"
	case "!!str":
		return "a string"
	case "!!timestamp":
		return "a date"
	}
	return "a value with the tag " + nameOf(n.ShortTag())
}

func join(section, name string) string {
	if section == "" {
		return name
	}
	return section + "." + name
}
