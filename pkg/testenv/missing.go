package testenv

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// MissingError says that a server's program is not installed.
type MissingError struct {
	Command string // the program that was looked for
	Package string // the Debian package that brings it
}

// Error is one sentence with the line that installs the program.
func (e *MissingError) Error() string {
	return fmt.Sprintf("%s is not installed: run as root `apt-get install -y --no-install-recommends %s` (scripts/test does)", e.Command, e.Package)
}

// find returns the path of a program. Debian keeps some servers in
// directories that the PATH of a normal user lacks.
func find(command, debianPackage string) (string, error) {
	if path, err := exec.LookPath(command); err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/sbin", "/sbin", "/usr/local/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, command)); err == nil {
			return path, nil
		}
	}
	return "", &MissingError{Command: command, Package: debianPackage}
}

// storesRequired says whether a missing server fails a test or skips it.
func storesRequired() bool {
	return os.Getenv("CI") == "true" || os.Getenv("LONGLINK_TEST_STORES") == "required"
}
