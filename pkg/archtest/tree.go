package archtest

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// module is the import path of the repository's root.
const module = "longlink"

// File is one Go file.
type File struct {
	Path      string // from the root, with slashes
	Dir       string // its directory, "." for the root
	Test      bool   // ends in _test.go
	Generated bool   // carries the "Code generated … DO NOT EDIT." line
	Lines     int
	Imports   []string

	syntax *ast.File
	set    *token.FileSet
}

// Tree is every Go file of the module.
type Tree struct{ Files []File }

// Load parses the Go files under fsys. Left out are directories that the go
// command ignores too (testdata, names that begin with a dot or an
// underscore) and nested modules.
func Load(fsys fs.FS) (*Tree, error) {
	t := &Tree{}
	set := token.NewFileSet()
	err := fs.WalkDir(fsys, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && name != "." && ignored(fsys, name):
			return fs.SkipDir
		case entry.IsDir() || !entry.Type().IsRegular() || path.Ext(name) != ".go":
			return nil
		}
		content, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		syntax, err := parser.ParseFile(set, name, content, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return fmt.Errorf("parse: %w", err)
		}
		f := File{
			Path: name, Dir: path.Dir(name),
			Test:      strings.HasSuffix(name, "_test.go"),
			Generated: ast.IsGenerated(syntax),
			Lines:     bytes.Count(content, []byte("\n")),
			syntax:    syntax, set: set,
		}
		for _, spec := range syntax.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return fmt.Errorf("%s: import %s: %w", name, spec.Path.Value, err)
			}
			f.Imports = append(f.Imports, imported)
		}
		t.Files = append(t.Files, f)
		return nil
	})
	return t, err
}

func ignored(fsys fs.FS, dir string) bool {
	base := path.Base(dir)
	if base == "testdata" || base[0] == '.' || base[0] == '_' {
		return true
	}
	_, err := fs.Stat(fsys, path.Join(dir, "go.mod"))
	return err == nil
}

// within says whether a directory or import path is root or lies below it.
func within(dir, root string) bool {
	return dir == root || strings.HasPrefix(dir, root+"/")
}

// withinAny is within for any of several roots.
func withinAny(dir string, roots []string) bool {
	return slices.ContainsFunc(roots, func(root string) bool { return within(dir, root) })
}

// local returns the directory of an import of this module.
func local(imported string) (dir string, ok bool) {
	if imported == module {
		return ".", true
	}
	return strings.CutPrefix(imported, module+"/")
}
