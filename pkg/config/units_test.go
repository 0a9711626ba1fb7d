package config_test

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"longlink/pkg/config"
)

func TestDurationText(t *testing.T) {
	for in, want := range map[string]string{
		"25s": "25s", "24h": "24h", "1m30s": "1m30s", "90s": "1m30s", "1h0m1s": "1h0m1s", "60m": "1h", "1h30m": "1h30m",
		"0": "0s", "250ms": "250ms", "-10s": "-10s", "1.5h": "1h30m", "10m": "10m", "20h10m": "20h10m",
	} {
		var d config.Duration
		if err := d.UnmarshalText([]byte(in)); err != nil {
			t.Errorf("%s: %v", in, err)
		} else if d.String() != want {
			t.Errorf("%s prints %s, want %s", in, d, want)
		}
	}
}

func TestSizeText(t *testing.T) {
	for in, want := range map[string]string{
		"0": "0B", "512B": "512B", "512": "512B", "64KiB": "64KiB", "1024KiB": "1MiB", "1025": "1025B", "2GiB": "2GiB", "3TiB": "3TiB",
	} {
		var s config.Size
		if err := s.UnmarshalText([]byte(in)); err != nil {
			t.Errorf("%s: %v", in, err)
		} else if s.String() != want {
			t.Errorf("%s prints %s, want %s", in, s, want)
		}
	}
	for in, want := range map[string]string{
		"":                     `wants a size such as 64KiB, got ""`,
		"-1":                   `wants a size such as 64KiB, got "-1"`,
		"KiB":                  `wants a size such as 64KiB, got "KiB"`,
		"64KB":                 `"64KB": unknown unit; write KiB (units are binary: 1KiB is 1024B)`,
		"64kib":                `"64kib": unknown unit; write KiB (units are binary: 1KiB is 1024B)`,
		"1M":                   `"1M": unknown unit; write MiB (units are binary: 1KiB is 1024B)`,
		"1 GiB":                `"1 GiB": unknown unit; write GiB (units are binary: 1KiB is 1024B)`,
		"1.5MiB":               `"1.5MiB": unknown unit; units are B, KiB, MiB, GiB and TiB`,
		"9223372036854775808":  `"9223372036854775808" is more than a size can hold`,
		"9007199254740992KiB":  `"9007199254740992KiB" is more than a size can hold`,
		"99999999999999999TiB": `"99999999999999999TiB" is more than a size can hold`,
	} {
		var s config.Size
		if err := s.UnmarshalText([]byte(in)); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", in, err, want)
		}
	}
	if _, err := config.Size(-1).MarshalText(); err == nil {
		t.Error("a negative size was written")
	}
}

func TestUnitsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := config.Size(rapid.Int64Range(0, math.MaxInt64).Draw(t, "bytes") >> rapid.IntRange(0, 62).Draw(t, "shift") << rapid.IntRange(0, 20).Draw(t, "back") & math.MaxInt64)
		var s2 config.Size
		if err := s2.UnmarshalText([]byte(s.String())); err != nil || s2 != s {
			t.Fatalf("%d prints %s, reads %d, %v", int64(s), s, int64(s2), err)
		}
		d := config.Duration(rapid.Int64().Draw(t, "nanoseconds")).Std()
		d = d.Truncate(rapid.SampledFrom([]time.Duration{1, time.Second, time.Minute, time.Hour}).Draw(t, "unit"))
		var d2 config.Duration
		if err := d2.UnmarshalText([]byte(config.Duration(d).String())); err != nil || d2.Std() != d {
			t.Fatalf("%d prints %s, reads %d, %v", d, config.Duration(d), d2, err)
		}
	})
}
