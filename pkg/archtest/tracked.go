package archtest

import (
	"bytes"
	"fmt"
	"io/fs"
	"os/exec"
	"path"
	"slices"
	"strings"
)

// topLevel is what the root of the repository holds, besides names that begin
// with a dot.
var topLevel = append([]string{
	"pkg", "scripts", "docs",
	"main.go", "go.mod", "go.sum", "config.yaml", "README.md", "LICENSE",
}, services...)

// machinePaths begin the paths of one machine; they are put together here so
// that this file does not name them.
var machinePaths = []string{"/" + "work/", "/" + "root/", "/" + "home/"}

// Tracked lists the files that git tracks below root. In a tree without a
// usable git (a source archive, another user's checkout) it lists all files
// but those of git and of a gateway that ran there.
func Tracked(root string, fsys fs.FS) ([]string, error) {
	git := exec.Command("git", "ls-files", "-z")
	git.Dir = root
	if out, err := git.Output(); err == nil && len(out) > 0 {
		return strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00"), nil
	}
	var files []string
	err := fs.WalkDir(fsys, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (name == ".git" || name == "data"):
			return fs.SkipDir
		case !entry.IsDir():
			files = append(files, name)
		}
		return nil
	})
	return files, err
}

// TopLevel: the root of the repository holds nothing but the known names.
func TopLevel(tracked []string) []string {
	var broken []string
	seen := map[string]bool{}
	for _, name := range tracked {
		top, _, _ := cutFirst(name)
		if seen[top] || top[0] == '.' || slices.Contains(topLevel, top) {
			continue
		}
		seen[top] = true
		broken = append(broken, fmt.Sprintf("%s: the root holds the seven services, pkg, scripts, docs and a few files; move it into one of them, or .gitignore it", top))
	}
	return broken
}

// MachinePaths: no tracked file names a path of one machine.
func MachinePaths(fsys fs.FS, tracked []string) ([]string, error) {
	var broken []string
	for _, name := range tracked {
		info, err := fs.Stat(fsys, name)
		if err != nil || !info.Mode().IsRegular() {
			continue // deleted but not yet committed, or a link
		}
		content, err := fs.ReadFile(fsys, name)
		if err != nil {
			return nil, err
		}
		if path.Ext(name) == ".sum" || bytes.IndexByte(content, 0) >= 0 {
			continue
		}
		for number, line := range bytes.Split(content, []byte("\n")) {
			for _, bad := range machinePaths {
				if names(line, bad) {
					broken = append(broken, fmt.Sprintf("%s:%d names a path of one machine (%s…): use a path relative to the repository, or a temporary directory", name, number+1, bad))
				}
			}
		}
	}
	return broken, nil
}

// names says whether line holds prefix where a path can begin: a longer path
// or an address may well have such a part in its middle.
func names(line []byte, prefix string) bool {
	for at := 0; ; {
		i := bytes.Index(line[at:], []byte(prefix))
		if i < 0 {
			return false
		}
		at += i
		if at == 0 || !isPathByte(line[at-1]) {
			return true
		}
		at++
	}
}

func isPathByte(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || bytes.IndexByte([]byte("._-~*}/"), b) >= 0
}

// cutFirst splits a slash-separated path behind its first element.
func cutFirst(name string) (first, rest string, more bool) { return strings.Cut(name, "/") }

// hasDot says whether the first element of an import path is a host's name;
// the standard library's never is.
func hasDot(first string) bool { return strings.Contains(first, ".") }
