package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Size is a number of bytes, never negative, written with a binary unit: 512B,
// 64KiB, 1MiB, 2GiB, 1TiB. A plain integer is bytes.
type Size int64

type sizeUnit struct {
	name  string
	bytes int64
}

// sizeUnits returns the units, largest first.
func sizeUnits() [5]sizeUnit {
	return [5]sizeUnit{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}
}

// String uses the largest unit that divides s, so that it reads back the same.
func (s Size) String() string {
	for _, u := range sizeUnits() {
		if s != 0 && int64(s)%u.bytes == 0 {
			return strconv.FormatInt(int64(s)/u.bytes, 10) + u.name
		}
	}
	return "0B"
}

// MarshalText writes what String writes; a negative size is an error.
func (s Size) MarshalText() ([]byte, error) {
	if s < 0 {
		return nil, fmt.Errorf("size %d is negative", int64(s))
	}
	return []byte(s.String()), nil
}

// UnmarshalText reads an integer with a binary unit or none. Decimal units (KB,
// MB) are refused: people mean both 1000 and 1024 by them.
func (s *Size) UnmarshalText(text []byte) error {
	str := string(text)
	digits := str[:len(str)-len(strings.TrimLeft(str, "0123456789"))]
	unit := str[len(digits):]
	if digits == "" {
		return fmt.Errorf("wants a size such as 64KiB, got %s", quote(str))
	}
	factor := int64(1)
	if unit != "" {
		var hint string
		if factor, hint = sizeFactor(unit); factor == 0 {
			return fmt.Errorf("%s: unknown unit; %s", quote(str), hint)
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n > math.MaxInt64/factor {
		return fmt.Errorf("%s is more than a size can hold", quote(str))
	}
	*s = Size(n * factor)
	return nil
}

// sizeFactor answers 0 and what to write instead when the unit is not known.
func sizeFactor(unit string) (factor int64, hint string) {
	for _, u := range sizeUnits() {
		if unit == u.name {
			return u.bytes, ""
		}
	}
	for _, u := range sizeUnits() {
		if word := strings.TrimSpace(unit); strings.EqualFold(word, u.name) ||
			strings.EqualFold(word, u.name[:1]+"B") || strings.EqualFold(word, u.name[:1]) {
			return 0, fmt.Sprintf("write %s (units are binary: 1KiB is 1024B)", u.name)
		}
	}
	return 0, "units are B, KiB, MiB, GiB and TiB"
}
