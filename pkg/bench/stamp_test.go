package bench

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestNumbersAreASet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := rapid.SliceOf(rapid.Uint64Range(0, 5000))
		a, b := draw.Draw(t, "a"), draw.Draw(t, "b")
		var sa, sb numbers
		ma, mb := map[uint64]bool{}, map[uint64]bool{}
		for _, n := range a {
			if sa.add(n) == ma[n] {
				t.Fatalf("add(%d) is wrong about the past", n)
			}
			ma[n] = true
		}
		for _, n := range b {
			sb.add(n)
			mb[n] = true
		}
		missing := 0
		for n := range ma {
			if !mb[n] {
				missing++
			}
			mb[n] = true
		}
		if got := sa.missing(sb); got != missing {
			t.Fatalf("%d missing, want %d", got, missing)
		}
		sb.merge(sa)
		if sa.count() != len(ma) || sb.count() != len(mb) || sa.missing(sb) != 0 {
			t.Fatalf("counts %d and %d, want %d and %d", sa.count(), sb.count(), len(ma), len(mb))
		}
	})
}

func TestStamp(t *testing.T) {
	b := make([]byte, StampSize+1)
	want := stamp{run: 7, number: MaxMessages - 1, sent: time.Unix(1790000000, 123456789)}
	want.write(b)
	if got, ok := readStamp(b); !ok || got != want {
		t.Errorf("%v %+v", ok, got)
	}
	stamp{number: MaxMessages}.write(b)
	if _, ok := readStamp(b); ok {
		t.Error("a number beyond the last was taken")
	}
	if _, ok := readStamp(b[:StampSize-1]); ok {
		t.Error("a short payload was taken")
	}
}
