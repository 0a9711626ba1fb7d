package wire

import (
	"regexp"
	"strings"
	"testing"
)

// TestValidName against the form that the docs give.
func TestValidName(t *testing.T) {
	form := regexp.MustCompile(`^[A-Za-z0-9._~-]{1,64}$`)
	names := []string{"", "a", strings.Repeat("x", 64), strings.Repeat("x", 65), "phone-1", "a b", "a\n", "é", "..", "a/b", "a:b"}
	for b := range 256 {
		names = append(names, string([]byte{byte(b)}), string([]byte{'a', byte(b), 'z'}))
	}
	for _, s := range names {
		if want := form.MatchString(s); ValidName(s) != want || ValidName([]byte(s)) != want {
			t.Errorf("%q: %v", s, !want)
		}
	}
}
