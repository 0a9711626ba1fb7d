package code

import (
	"regexp"
	"testing"
)

func TestTableIsConsistent(t *testing.T) {
	name := regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`)
	seenName := map[string]bool{}
	last := -1
	for _, r := range Table {
		if int(r.Code) <= last {
			t.Errorf("%s: number %d is not above its predecessor", r.Name, r.Code)
		}
		last = int(r.Code)
		if !name.MatchString(r.Name) || seenName[r.Name] {
			t.Errorf("%d: bad or repeated name %q", r.Code, r.Name)
		}
		seenName[r.Name] = true
		if r.Meaning == "" {
			t.Errorf("%s: no meaning", r.Name)
		}
		if r.Code.Action() == RetryAfter && r.RetryMS == 0 {
			t.Errorf("%s: retry-after without a default hint", r.Name)
		}
		if r.Code.Action() == Drop && (r.Wire || r.HTTP != 0) {
			t.Errorf("%s: a drop reason is never sent", r.Name)
		}
		if !r.Wire && r.HTTP == 0 && r.Code.Action() != Drop {
			t.Errorf("%s: neither on the wire nor in the API: remove it", r.Name)
		}
		if c, ok := Lookup(r.Name); !ok || c != r.Code {
			t.Errorf("Lookup(%s) = %d, %v", r.Name, c, ok)
		}
	}
}

func TestUnknownNumbersKeepTheirAction(t *testing.T) {
	for c, want := range map[Code]Action{1999: RetryNow, 2999: RetryAfter, 3999: OtherAddress, 4999: Never, 9999: RetryAfter} {
		if c.Action() != want {
			t.Errorf("%d: action %v, want %v", c, c.Action(), want)
		}
		if c.Row().Name == "" {
			t.Errorf("%d: no name", c)
		}
	}
}

func TestErrorText(t *testing.T) {
	e := Invalid("ttl", "must be at most %s", "720h")
	if got, want := e.Error(), "INVALID_ARGUMENT: ttl: must be at most 720h"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := Errorf(RateLimited, "x").RetryMS(); got != 1000 {
		t.Errorf("default hint %d", got)
	}
}
