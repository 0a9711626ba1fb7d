package saver

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// However often it goes wrong, there is a line at its begin and one at its end.
func TestTroubleIsSaidTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		tr := newTroubles(slog.New(slog.NewTextHandler(&out, nil))).commit
		tr.fine()
		for range 1000 {
			tr.saw(3, errors.New("no ledger"))
			time.Sleep(10 * time.Millisecond)
			tr.fine() // now and then one succeeds
		}
		if n := strings.Count(out.String(), "\n"); n != 1 || !strings.Contains(out.String(), "level=ERROR") || !strings.Contains(out.String(), "no ledger") {
			t.Fatalf("%d lines:\n%s", n, out.String())
		}
		time.Sleep(calmAfter)
		tr.fine()
		tr.fine()
		if n := strings.Count(out.String(), "\n"); n != 2 || !strings.Contains(out.String(), "count=3000") || !strings.Contains(out.String(), "lasted=9.99s") {
			t.Fatalf("%d lines:\n%s", n, out.String())
		}
		tr.saw(1, errors.New("again"))
		if n := strings.Count(out.String(), "\n"); n != 3 {
			t.Fatalf("%d lines:\n%s", n, out.String())
		}
	})
}
