package config

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// file applies a YAML document. It answers false when the text is not YAML: the
// values it was meant to bring are then not known.
func (l *loader) file(name string, data []byte) bool {
	d := document{loader: l, name: name}
	lines := &lineReader{rest: data}
	doc, second, err := documents(lines)
	if err != nil {
		reported, message := splitYAMLError(err)
		at := Place{Layer: LayerFile, Source: name, Line: syntaxLine(data, reported, lines.handed)}
		l.complain(at, "", "", "not YAML: %s", message)
		return false
	}
	if second != nil {
		l.complain(d.at(second), "", "", "a second document starts; a configuration is one")
	}
	if doc != nil {
		d.section(l.schema.root, doc)
	}
	return true
}

// documents parses the first document and looks whether there is a second one.
// Both are nil when there is no such document.
func documents(r io.Reader) (first, second *yaml.Node, err error) {
	d := yaml.NewDecoder(r)
	var found []*yaml.Node
	for len(found) < 2 {
		var n yaml.Node
		if err := d.Decode(&n); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, nil, err
		}
		if n.Kind == yaml.DocumentNode && len(n.Content) == 1 {
			n = *n.Content[0]
		}
		found = append(found, &n)
	}
	found = append(found, nil, nil)
	return found[0], found[1], nil
}

// splitYAMLError takes the parser's message apart; line 0 when it names none.
func splitYAMLError(err error) (line int, message string) {
	message = strings.Join(strings.Fields(strings.TrimPrefix(err.Error(), "yaml: ")), " ")
	m := regexp.MustCompile(`^line (\d+): (.*)$`).FindStringSubmatch(message)
	if m == nil {
		return 0, message
	}
	for _, digit := range m[1] {
		line = line*10 + int(digit-'0')
	}
	return line, m[2]
}

// lineReader hands out one line at a time at most, and so knows how far the
// parser had come when it gave up.
type lineReader struct {
	rest   []byte
	begun  bool // the last line handed out has more to come
	handed int  // lines
}

func (r *lineReader) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		return 0, io.EOF
	}
	line := r.rest
	if i := bytes.IndexByte(line, '\n'); i >= 0 {
		line = line[:i+1]
	}
	if !r.begun {
		r.handed++
	}
	n := copy(p, line)
	r.begun = n < len(line)
	r.rest = r.rest[n:]
	return n, nil
}

// maxBytesSearched bounds syntaxLine, whose work grows with the square of a
// construct that never ends. A file of 500 lines stays below it.
const maxBytesSearched = 8 << 20

// syntaxLine finds the line where the trouble starts: the one after the longest
// run of lines that is YAML by itself, no later than the last line that the
// parser saw. The number in the parser's message is that of the surrounding
// block, or missing; it is the answer when the search would take too long.
func syntaxLine(data []byte, reported, last int) int {
	lines := bytes.SplitAfterN(data, []byte("\n"), last+1)
	length := 0
	for _, line := range lines[:min(last, len(lines))] {
		length += len(line)
	}
	budget := maxBytesSearched
	for n := min(last, len(lines)) - 1; n > 0; n-- {
		length -= len(lines[n])
		if budget -= length; budget < 0 {
			if reported > 0 {
				return reported
			}
			return last
		}
		if _, _, err := documents(bytes.NewReader(data[:length])); err == nil {
			return n + 1
		}
	}
	return 1
}
