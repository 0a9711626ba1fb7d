package config

import (
	"maps"
	"slices"
	"strings"
)

// keyed applies a layer that is a map from "section.key" to text.
func (l *loader) keyed(layer Layer, values map[string]string) {
	for _, key := range slices.Sorted(maps.Keys(values)) {
		at := Place{Layer: layer, Source: nameOf(key)}
		f := l.schema.byKey[key]
		switch {
		case f == nil:
			l.complain(at, nameOf(key), l.schema.nearestKey(key), "unknown key")
		case f.kind == kindSection:
			l.complain(at, key, l.schema.nearestKey(key), "is a section; set its keys one by one")
		default:
			v, bad := f.parse(values[key])
			l.put(f, v, bad, at)
		}
	}
}

// environment applies LONGLINK_SECTION_KEY. A variable with the prefix that
// names no section (LONGLINK_CENTER, LONGLINK_API_KEY) belongs to somebody
// else and is left alone.
func (l *loader) environment(env []string) {
	vars := map[string]string{}
	for _, pair := range env {
		name, value, _ := strings.Cut(pair, "=")
		if strings.HasPrefix(name, EnvPrefix) {
			vars[name] = value
		}
	}
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		if vars[name] == "" {
			continue
		}
		at := Place{Layer: LayerEnvironment, Source: nameOf(name)}
		if f := l.schema.byEnv[name]; f != nil {
			v, bad := f.parse(vars[name])
			l.put(f, v, bad, at)
		} else if siblings, ours := l.schema.variablesBeside(name); ours {
			best, _ := nearest(name, siblings)
			l.complain(at, "", best, "unknown variable")
		}
	}
}

// variablesBeside lists the variables of the section that name begins with, and
// says whether there is such a section.
func (s *schema) variablesBeside(name string) (names []string, ours bool) {
	for _, section := range s.root.children {
		prefix := envName(section.key) + "_"
		if !strings.HasPrefix(name, prefix) {
			continue
		}
		ours = true
		for _, f := range s.keys {
			if strings.HasPrefix(f.key, section.key+".") {
				names = append(names, envName(f.key))
			}
		}
	}
	return names, ours
}

// nearestKey looks among all keys.
func (s *schema) nearestKey(key string) string {
	all := make([]string, len(s.keys))
	for i, f := range s.keys {
		all[i] = f.key
	}
	best, _ := nearest(key, all)
	return best
}

// nearestChild looks among the names that may stand in a section, then for a
// key of this very name elsewhere: the right key in the wrong section.
func (s *schema) nearestChild(section *field, name string) string {
	names := make([]string, len(section.children))
	for i, c := range section.children {
		names[i] = c.name
	}
	best, distance := nearest(name, names)
	if best == "" || !near(name, distance) {
		for _, f := range s.keys {
			if f.name == name {
				return f.key
			}
		}
	}
	if c := section.child(best); c != nil {
		return c.key
	}
	return s.nearestKey(name)
}
