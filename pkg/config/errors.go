package config

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Layer is where a value came from.
type Layer string

// The layers, from the weakest to the strongest.
const (
	LayerDefault     Layer = "default"
	LayerFile        Layer = "file"
	LayerKeeper      Layer = "keeper"
	LayerEnvironment Layer = "environment"
	LayerFlag        Layer = "flag"
)

// Place is where a value stands: in a file with line and column (from 1; 0 is
// not known), in the environment with the variable's name, in keeper or a flag
// with the key.
type Place struct {
	Layer        Layer
	Source       string
	Line, Column int
}

// String is file:line:column for a file, the variable for the environment,
// "flag room.port" for a flag, likewise for keeper, empty for a default.
func (p Place) String() string {
	switch p.Layer {
	case LayerFile:
		s := p.Source
		if p.Line > 0 {
			s += ":" + strconv.Itoa(p.Line)
			if p.Column > 0 {
				s += ":" + strconv.Itoa(p.Column)
			}
		}
		return s
	case LayerEnvironment:
		return p.Source
	case LayerKeeper, LayerFlag:
		return string(p.Layer) + " " + p.Source
	}
	return ""
}

// FieldError is one mistake. A Validate method fills Key (relative to its
// struct, "" for the struct itself) and Message; Load adds the place.
type FieldError struct {
	Place   Place
	Key     string // full: section.key
	Message string
	Nearest string // the nearest valid key, variable or value; may be empty
}

// Error is one line: place, key, what is wrong, what comes nearest.
func (e FieldError) Error() string {
	var b strings.Builder
	if at := e.Place.String(); at != "" {
		b.WriteString(at + ": ")
	}
	if e.Key != "" && (e.Key != e.Place.Source || e.Place.Layer == LayerFile) {
		b.WriteString(e.Key + ": ")
	}
	b.WriteString(e.Message)
	if e.Nearest != "" {
		b.WriteString("; nearest is " + e.Nearest)
	}
	return b.String()
}

// Errors is all that was wrong, in the order of the layers; the file's in the
// order of its lines.
type Errors struct {
	Fields []FieldError
}

// Error is one line for each mistake.
func (e *Errors) Error() string {
	lines := make([]string, len(e.Fields))
	for i, f := range e.Fields {
		lines[i] = f.Error()
	}
	return strings.Join(lines, "\n")
}

// shown is how many runes of somebody's input an error repeats.
const shown = 60

func shorten(s string) string {
	if utf8.RuneCountInString(s) <= shown {
		return s
	}
	return string([]rune(s)[:shown]) + "…"
}

func quote(s string) string { return strconv.Quote(shorten(s)) }

// nameOf keeps an error on one line whatever a key of the input contains.
func nameOf(key string) string {
	if key != "" && key == shorten(key) && strconv.Quote(key) == fmt.Sprintf(`"%s"`, key) && !strings.Contains(key, " ") {
		return key
	}
	return quote(key)
}
