package archtest

import (
	"os"
	"path/filepath"
	"testing"
)

// root finds the repository from the package's directory upwards.
func root(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if filepath.Dir(dir) == dir {
			t.Fatal("no go.mod above the package's directory")
		}
		dir = filepath.Dir(dir)
	}
}

func report(t *testing.T, broken []string) {
	t.Helper()
	for _, b := range broken {
		t.Error(b)
	}
}

func TestRepositoryKeepsTheRules(t *testing.T) {
	tree, err := Load(os.DirFS(root(t)))
	if err != nil {
		t.Fatal(err)
	}
	for name, rule := range map[string]func(*Tree) []string{
		"islands": Islands, "wiring": Wiring, "homes": Homes, "main": Main,
		"comments": Comments, "drawers": Drawers, "length": Length, "sleeps": Sleeps,
	} {
		t.Run(name, func(t *testing.T) { report(t, rule(tree)) })
	}
}

func TestRepositoryHoldsWhatItShould(t *testing.T) {
	dir := root(t)
	fsys := os.DirFS(dir)
	tracked, err := Tracked(dir, fsys)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("top level", func(t *testing.T) { report(t, TopLevel(tracked)) })
	t.Run("machine paths", func(t *testing.T) {
		broken, err := MachinePaths(fsys, tracked)
		if err != nil {
			t.Fatal(err)
		}
		report(t, broken)
	})
}
