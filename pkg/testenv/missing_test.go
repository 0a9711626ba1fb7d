package testenv

import (
	"fmt"
	"strings"
	"testing"
)

// recorder is a test that only notes how it was ended.
type recorder struct {
	testing.TB
	skipped, failed string
}

func (r *recorder) Helper()           {}
func (r *recorder) Skip(args ...any)  { r.skipped = fmt.Sprint(args...) }
func (r *recorder) Fatal(args ...any) { r.failed = fmt.Sprint(args...) }

func TestMissingServer(t *testing.T) {
	_, missing := find("no-such-server", "no-such-package")
	if missing == nil {
		t.Fatal("a program that does not exist was found")
	}
	const line = "apt-get install -y --no-install-recommends no-such-package"
	for _, c := range []struct {
		ci, stores string
		fails      bool
	}{
		{"", "", false},
		{"false", "optional", false},
		{"true", "", true},
		{"", "required", true},
	} {
		t.Setenv("CI", c.ci)
		t.Setenv("LONGLINK_TEST_STORES", c.stores)
		r := &recorder{TB: t}
		check(r, fmt.Errorf("start: %w", missing))
		said, silent := r.skipped, r.failed
		if c.fails {
			said, silent = silent, said
		}
		if !strings.Contains(said, line) || silent != "" {
			t.Errorf("CI=%q LONGLINK_TEST_STORES=%q: skipped with %q, failed with %q", c.ci, c.stores, r.skipped, r.failed)
		}
	}
}

func TestOtherFailuresAreNeverSkipped(t *testing.T) {
	t.Setenv("CI", "")
	t.Setenv("LONGLINK_TEST_STORES", "")
	r := &recorder{TB: t}
	check(r, fmt.Errorf("it ended"))
	if r.failed != "it ended" || r.skipped != "" {
		t.Errorf("skipped with %q, failed with %q", r.skipped, r.failed)
	}
}
