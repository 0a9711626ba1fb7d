package cli

import (
	"errors"
	"strings"
	"testing"

	"longlink/pkg/code"
)

func TestSends(t *testing.T) {
	c := deviceCmd{Product: []string{"demo", "shop"}, Send: []string{"report=a,b=c", "shop/order=", "demo/x=/y"}}
	got, err := c.sends()
	want := []upstream{{"demo", "report", "a,b=c"}, {"shop", "order", ""}, {"demo", "x", "/y"}}
	if err != nil || len(got) != 3 || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] {
		t.Errorf("%v, %v", got, err)
	}
}

func TestSent(t *testing.T) {
	u := upstream{"demo", "report", "secret"}
	refused := code.Errorf(code.Unbound, "not bound")
	for _, tc := range []struct {
		err  error
		text string
		json string
	}{
		{nil, "d  demo  report stored", `{"device":"d","kind":"report","product":"demo","type":"stored"}`},
		{refused, "d  demo  report not stored: UNBOUND: not bound", `{"code":"UNBOUND","device":"d","kind":"report","product":"demo","reason":"UNBOUND: not bound","type":"refused"}`},
		{errors.New("closed"), "d  demo  report not stored: closed", `{"device":"d","kind":"report","product":"demo","reason":"closed","type":"refused"}`},
	} {
		var text, lines strings.Builder
		if err := (&printer{w: &text}).sent("d", u, tc.err); err != nil || text.String() != tc.text+"\n" {
			t.Errorf("%v %s", err, text.String())
		}
		if err := (&printer{w: &lines, json: true}).sent("d", u, tc.err); err != nil || lines.String() != tc.json+"\n" {
			t.Errorf("%v %s", err, lines.String())
		}
	}
	s := &sender{list: []upstream{u, u}}
	s.stored.Store(3)
	if err := s.judge(2); err == nil || err.Error() != "1 of 4 sends were not stored" {
		t.Error(err)
	}
	if s.stored.Store(4); s.judge(2) != nil {
		t.Error("all are stored")
	}
}

// TestExplain: a token says what it is for, to whoever holds it.
func TestExplain(t *testing.T) {
	// {"alg":"HS256"} . {"sub":"d","products":["p"],"aliases":{"p":"alice"},"exp":1}
	const tok = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJkIiwicHJvZHVjdHMiOlsicCJdLCJhbGlhc2VzIjp7InAiOiJhbGljZSJ9LCJleHAiOjF9.x"
	exit, out, errs := longlink(t, "token", "--explain", tok)
	for _, want := range []string{`"alg": "HS256"`, `"p": "alice"`, "expired at 1970-01-01", "signature not checked"} {
		if exit != 0 || !strings.Contains(out, want) {
			t.Errorf("%d, no %s\n%s%s", exit, want, out, errs)
		}
	}
}
