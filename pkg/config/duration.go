package config

import (
	"fmt"
	"strings"
	"time"
)

// Duration is a time.Duration written as Go writes it: 25s, 1m30s, 24h.
type Duration time.Duration

// Std returns d as the standard library's type.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// String leaves out trailing zero units: 24h, not 24h0m0s.
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// MarshalText writes what String writes.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads Go's notation. A number without a unit is refused, but
// for 0.
func (d *Duration) UnmarshalText(text []byte) error {
	s := string(text)
	v, err := time.ParseDuration(s)
	if err == nil {
		*d = Duration(v)
		return nil
	}
	digits := strings.TrimRight(s, "dwDW")
	switch {
	case isDecimal(s):
		return fmt.Errorf("%s has no unit; write %ss, or use ms, m or h", shorten(s), shorten(s))
	case isDecimal(digits) && len(digits) == len(s)-1:
		return fmt.Errorf("%s: the largest unit is the hour; write a day as 24h", shorten(s))
	}
	return fmt.Errorf("wants a duration such as 25s or 1m30s, got %s", quote(s))
}

func isDecimal(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}
