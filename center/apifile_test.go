package center

import (
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// The parts of openapi.yaml that the tests look at.
type (
	apiFile struct {
		Paths      map[string]map[string]apiOperation
		Components struct {
			Schemas    map[string]*apiSchema
			Parameters map[string]apiParameter
		}
	}
	apiOperation struct {
		OperationID string `yaml:"operationId"`
		Security    *[]map[string][]string
		Parameters  []apiParameter
		RequestBody struct {
			Required bool
			Content  map[string]struct{ Schema *apiSchema }
		} `yaml:"requestBody"`
		Responses map[string]struct {
			Ref     string `yaml:"$ref"`
			Content map[string]struct{ Schema *apiSchema }
		}
	}
	apiParameter struct {
		Ref      string `yaml:"$ref"`
		Name, In string
		Required bool
		Schema   *apiSchema
	}
	apiSchema struct {
		Ref                  string `yaml:"$ref"`
		Type                 string
		Required             []string
		Enum                 []any
		Properties           map[string]*apiSchema
		Items                *apiSchema
		AdditionalProperties *apiSchema `yaml:"additionalProperties"`

		Pattern       string
		Default       any
		Maximum       int
		MaxItems      int `yaml:"maxItems"`
		MaxProperties int `yaml:"maxProperties"`
	}
)

func loadAPI(t *testing.T) *apiFile {
	t.Helper()
	var f apiFile
	if err := yaml.Unmarshal(openAPI, &f); err != nil {
		t.Fatal(err)
	}
	return &f
}

// at follows a schema's reference.
func (f *apiFile) at(t *testing.T, s *apiSchema) *apiSchema {
	t.Helper()
	if s == nil || s.Ref == "" {
		return s
	}
	found := f.Components.Schemas[strings.TrimPrefix(s.Ref, "#/components/schemas/")]
	if found == nil {
		t.Fatalf("there is no %s", s.Ref)
	}
	return found
}

var pathName = regexp.MustCompile(`\{[a-z]+\}`)

// find is the operation of a path without its query.
func (f *apiFile) find(path, method string) (template string, op *apiOperation) {
	for template, ops := range f.Paths {
		ok := regexp.MustCompile("^" + pathName.ReplaceAllString(template, "[^/:]+") + "$").MatchString(path)
		if o, has := ops[strings.ToLower(method)]; ok && has {
			return template, &o
		}
	}
	return "", nil
}

func (f *apiFile) checkQuery(t *testing.T, op *apiOperation, path string) {
	t.Helper()
	u, err := url.Parse(path)
	if err != nil {
		t.Fatal(err)
	}
	for name := range u.Query() {
		if !slices.Contains(f.parameters(op, "query"), name) {
			t.Errorf("%s lacks the parameter %s", op.OperationID, name)
		}
	}
}

// parameters are the names of an operation's parameters in the path or the
// query.
func (f *apiFile) parameters(op *apiOperation, in string) (names []string) {
	for _, p := range op.Parameters {
		if p.Ref != "" {
			p = f.Components.Parameters[strings.TrimPrefix(p.Ref, "#/components/parameters/")]
		}
		if p.In == in {
			names = append(names, p.Name)
		}
	}
	return names
}

// checkAnswer holds an answer against what the file says of it.
func (f *apiFile) checkAnswer(t *testing.T, op *apiOperation, a answer) {
	t.Helper()
	r, ok := op.Responses[fmt.Sprint(a.status)]
	s := r.Content["application/json"].Schema
	if a.status/100 != 2 {
		if op.Responses["default"].Ref == "" {
			t.Errorf("%s has no errors", op.OperationID)
		}
		s = f.Components.Schemas["ErrorReply"]
	} else if !ok {
		t.Errorf("%s: status %d is not in openapi.yaml", op.OperationID, a.status)
	}
	if _, stream := r.Content["text/event-stream"]; stream && a.status/100 == 2 {
		if got := a.header.Get("Content-Type"); got != "text/event-stream" {
			t.Errorf("%s is answered as %s", op.OperationID, got)
		}
		return
	}
	if len(a.body) == 0 && s == nil {
		return
	}
	var v any
	if err := json.Unmarshal(a.body, &v); err != nil {
		t.Fatalf("%s: %v", op.OperationID, err)
	}
	f.conforms(t, op.OperationID, s, v)
}

func (f *apiFile) conforms(t *testing.T, at string, s *apiSchema, v any) {
	t.Helper()
	if s = f.at(t, s); s == nil {
		t.Errorf("%s is not described", at)
		return
	}
	if s.Enum != nil && !slices.Contains(s.Enum, v) {
		t.Errorf("%s: %v is not in %v", at, v, s.Enum)
	}
	kind := map[string]string{"object": "map[string]interface {}", "array": "[]interface {}", "string": "string", "integer": "float64", "number": "float64", "boolean": "bool"}[s.Type]
	if got := fmt.Sprintf("%T", v); s.Type != "" && got != kind {
		t.Errorf("%s is %s, not %s", at, got, s.Type)
		return
	}
	switch v := v.(type) {
	case []any:
		for i, x := range v {
			f.conforms(t, fmt.Sprintf("%s[%d]", at, i), s.Items, x)
		}
	case map[string]any:
		for _, name := range s.Required {
			if _, ok := v[name]; !ok {
				t.Errorf("%s lacks %s", at, name)
			}
		}
		for name, x := range v {
			p := s.Properties[name]
			if p == nil {
				p = s.AdditionalProperties
			}
			f.conforms(t, at+"."+name, p, x)
		}
	}
}
