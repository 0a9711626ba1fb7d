package archtest

import (
	"fmt"
	"go/ast"
	"path"
	"slices"
	"strconv"
	"strings"
)

// maxLines is where a file has certainly become several.
const maxLines = 500

// Comments: every package says what it is.
func Comments(t *Tree) []string {
	return t.packages(func(_ string, files []File) string {
		for _, f := range files {
			if f.syntax.Doc != nil && strings.TrimSpace(f.syntax.Doc.Text()) != "" {
				return ""
			}
		}
		return "no package comment: say in doc.go what the package owns and promises"
	})
}

// Length: a file that people write stays below 500 lines.
func Length(t *Tree) []string {
	var broken []string
	for _, f := range t.Files {
		if !f.Generated && f.Lines > maxLines {
			broken = append(broken, fmt.Sprintf("%s has %d lines, more than %d: one concern a file; split it by topic", f.Path, f.Lines, maxLines))
		}
	}
	return broken
}

// Sleeps: no test sleeps and hopes. Inside a synctest.Test or Run bubble, where
// time is made up, time.Sleep is the way to advance it.
func Sleeps(t *Tree) []string {
	var broken []string
	for _, f := range t.Files {
		if !f.Test {
			continue
		}
		clock, bubble := importName(f, "time"), importName(f, "testing/synctest")
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok && bubble != "" && selects(call.Fun, bubble, "Test", "Run") {
				return false
			}
			if e, ok := n.(ast.Expr); ok && clock != "" && selects(e, clock, "Sleep") {
				broken = append(broken, fmt.Sprintf("%s: time.Sleep in a test hopes: wait for the event on a channel, poll with a time.Ticker and a deadline, or use testing/synctest", f.set.Position(n.Pos())))
			}
			return true
		})
	}
	return broken
}

// selects says whether e is pkg.name for one of the names.
func selects(e ast.Expr, pkg string, names ...string) bool {
	s, ok := e.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	x, ok := s.X.(*ast.Ident)
	return ok && x.Name == pkg && slices.Contains(names, s.Sel.Name)
}

// importName is the name by which a file uses an import; "" if it does not.
func importName(f File, imported string) string {
	for _, spec := range f.syntax.Imports {
		if spec.Path.Value != strconv.Quote(imported) {
			continue
		}
		if spec.Name != nil {
			return spec.Name.Name
		}
		return path.Base(imported)
	}
	return ""
}

// packages asks about every directory that holds Go files.
func (t *Tree) packages(ask func(dir string, files []File) string) []string {
	byDir := map[string][]File{}
	var dirs []string
	for _, f := range t.Files {
		if byDir[f.Dir] == nil {
			dirs = append(dirs, f.Dir)
		}
		byDir[f.Dir] = append(byDir[f.Dir], f)
	}
	var broken []string
	for _, dir := range dirs {
		if answer := ask(dir, byDir[dir]); answer != "" {
			broken = append(broken, dir+": "+answer)
		}
	}
	return broken
}
