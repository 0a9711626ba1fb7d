package center

import (
	"encoding/base64"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"longlink/pkg/code"
)

// spread is positions as far apart as they come: unused partitions beside seqs
// of every age.
func spread(r *rand.Rand) (p positions) {
	now := uint64(time.Now().UnixMicro())
	for i := range p {
		switch r.IntN(4) {
		case 0:
		case 1:
			p[i] = now
		case 2:
			p[i] = 1 + r.Uint64N(now)
		default:
			p[i] = now - r.Uint64N(uint64(72*time.Hour.Microseconds()))
		}
	}
	return p
}

func TestCursorRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	cases := []positions{{}, {0: 1}, {255: maxSeq}}
	for range 200 {
		cases = append(cases, spread(r))
	}
	for _, p := range cases {
		if got, err := parsePositions(p.cursor()); err != nil || got != p {
			t.Fatalf("%v came back as %v, %v", p, got, err)
		}
	}
}

// TestCursorFitsIntoAHeader: the worst case of this century.
func TestCursorFitsIntoAHeader(t *testing.T) {
	var p positions
	for i := range p {
		p[i] = uint64(time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()) - uint64(i)
	}
	p[0] = 1
	c := p.cursor()
	t.Logf("%d characters", len(c))
	if len(c) >= 3<<10 || len(c) > maxCursor {
		t.Errorf("%d characters", len(c))
	}
	if strings.Trim(c, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
		t.Errorf("not URL-safe: %s", c)
	}
}

// TestMangledCursorsAreRefused: whatever one character is changed to, cut off or
// added.
func TestMangledCursorsAreRefused(t *testing.T) {
	p := spread(rand.New(rand.NewPCG(3, 4)))
	good := p.cursor()
	bad := []string{"x", "AQ", strings.ToLower(good), good[1:], good + "AAAA", good + "=", strings.Repeat("A", maxCursor+1), good[:len(good)/2], "é",
		base64.RawURLEncoding.EncodeToString([]byte{2, 0, 0, 0, 0, 0})}
	for i := range len(good) - 1 {
		other := byte('A')
		if good[i] == other {
			other = 'B'
		}
		bad = append(bad, good[:i]+string(other)+good[i+1:], good[:i])
	}
	for _, c := range bad {
		if c == "" {
			continue // none is given
		}
		if _, err := parsePositions(c); err == nil || err.Code != code.InvalidArgument || err.Field != "cursor" {
			t.Fatalf("%q: %v", c, err)
		}
	}
}

func FuzzParsePositions(f *testing.F) {
	p := spread(rand.New(rand.NewPCG(5, 6)))
	f.Add(p.cursor())
	f.Add("")
	f.Fuzz(func(t *testing.T, c string) {
		p, err := parsePositions(c)
		if err != nil {
			return
		}
		if again, err := parsePositions(p.cursor()); err != nil || again != p {
			t.Errorf("%q: %v, %v", c, again, err)
		}
	})
}
