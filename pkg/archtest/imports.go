package archtest

import (
	"fmt"
	"path"
	"slices"
)

// services are the seven; each is one package at the root.
var services = []string{"dispatcher", "room", "register", "coordinator", "saver", "center", "keeper"}

// home says which directories may import a dependency. scripts/e2e, which
// looks at the stores from outside, may import all of them.
type home struct {
	imports []string // import paths and what lies below them
	dirs    []string
}

var homes = []home{
	{[]string{"github.com/panjf2000/gnet"}, []string{"room", "pkg/bench"}},
	{[]string{"github.com/redis/go-redis", "modernc.org/sqlite"}, []string{"saver"}},
	{[]string{"database/sql", "github.com/go-sql-driver/mysql"}, []string{"saver", "pkg/testenv"}},
	{[]string{"go.etcd.io"}, []string{"keeper"}},
}

// serviceOf returns the service that a directory belongs to, or "".
func serviceOf(dir string) string {
	for _, s := range services {
		if within(dir, s) {
			return s
		}
	}
	return ""
}

// Islands: no service imports another one, not even in its tests.
func Islands(t *Tree) []string {
	return t.imports(func(f File, dir string) string {
		from, to := serviceOf(f.Dir), serviceOf(dir)
		if from == "" || to == "" || from == to {
			return ""
		}
		return fmt.Sprintf("service %s imports service %s: services meet in pkg/api and pkg/rpc, and pkg/app wires them; what %s needs of %s it asks for through a small interface of its own", from, to, from, to)
	})
}

// Wiring: outside their own tests, the packages under pkg/ know no service;
// pkg/app alone does. Neither does a service know pkg/app.
func Wiring(t *Tree) []string {
	return t.imports(func(f File, dir string) string {
		switch service := serviceOf(dir); {
		case service != "" && within(f.Dir, "pkg") && !within(f.Dir, "pkg/app") && !f.Test:
			return fmt.Sprintf("%s imports service %s: only pkg/app wires services; move what is shared into a package under pkg/, or take an interface", f.Dir, service)
		case serviceOf(f.Dir) != "" && within(dir, "pkg/app"):
			return fmt.Sprintf("service %s imports %s: pkg/app wires services and is imported by commands alone", f.Dir, dir)
		}
		return ""
	})
}

// Homes: each heavy dependency is imported in its home only.
func Homes(t *Tree) []string {
	var broken []string
	for _, f := range t.Files {
		for _, imported := range f.Imports {
			for _, h := range homes {
				if withinAny(imported, h.imports) && !withinAny(f.Dir, h.dirs) && !within(f.Dir, "scripts/e2e") {
					broken = append(broken, fmt.Sprintf("%s imports %s, whose home is %v: ask the home for what is needed through a small interface", f.Path, imported, h.dirs))
				}
			}
		}
	}
	return broken
}

// Main: the program at the root hands over to pkg/cli and does nothing else.
func Main(t *Tree) []string {
	var broken []string
	for _, f := range t.Files {
		if f.Dir != "." {
			continue
		}
		if f.Path != "main.go" && !f.Test {
			broken = append(broken, fmt.Sprintf("%s: main.go is the only Go file of the root; move it into a package", f.Path))
		}
		for _, imported := range f.Imports {
			if first, _, _ := cutFirst(imported); first != module && !hasDot(first) {
				continue // standard library
			}
			if imported != module+"/pkg/cli" {
				broken = append(broken, fmt.Sprintf("%s imports %s: the root imports pkg/cli alone; move the code there", f.Path, imported))
			}
		}
	}
	return broken
}

// imports asks about every import of a package of this module.
func (t *Tree) imports(ask func(f File, dir string) string) []string {
	var broken []string
	for _, f := range t.Files {
		for _, imported := range f.Imports {
			if dir, ok := local(imported); ok {
				if answer := ask(f, dir); answer != "" {
					broken = append(broken, f.Path+": "+answer)
				}
			}
		}
	}
	return broken
}

// Drawers: no package is named for being a drawer.
func Drawers(t *Tree) []string {
	names := []string{"util", "utils", "common", "helper", "helpers", "tool", "tools", "misc", "shared", "base", "lib"}
	return t.packages(func(dir string, files []File) string {
		for _, name := range []string{path.Base(dir), files[0].syntax.Name.Name} {
			if slices.Contains(names, name) {
				return fmt.Sprintf("package %s: name it for what it holds, a noun of the field, or put its parts where they are used", name)
			}
		}
		return ""
	})
}
