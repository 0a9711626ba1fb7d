package token

import (
	"encoding/base64"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"longlink/pkg/cluster"
	"longlink/pkg/code"
)

var now = time.Now().Truncate(time.Second)

func good() Device {
	return Device{Device: "phone-1", Products: []string{"demo", "chat"}, Aliases: map[string]string{"demo": "ann"}, Expires: now.Add(time.Hour)}
}

func must(t *testing.T, s string, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestDeviceToken(t *testing.T) {
	old, cur := NewSecret(), NewSecret()
	tok, err := Sign(old, good())
	must(t, tok, err)
	d, cerr := Verify([]cluster.GrantSecret{cur, old}, tok, now)
	if cerr != nil {
		t.Fatal(cerr)
	}
	w := good()
	if d.Device != w.Device || !slices.Equal(d.Products, w.Products) || !maps.Equal(d.Aliases, w.Aliases) || !d.Expires.Equal(w.Expires) {
		t.Errorf("got %+v", d)
	}
	for at, want := range map[time.Duration]code.Code{time.Hour + 4*time.Second: code.OK, time.Hour + 5*time.Second: code.TokenExpired} {
		_, cerr := Verify([]cluster.GrantSecret{old}, tok, now.Add(at))
		if got := codeOf(cerr); got != want {
			t.Errorf("at %v: %v, want %v", at, got, want)
		}
	}
}

func codeOf(e *code.Error) code.Code {
	if e == nil {
		return code.OK
	}
	return e.Code
}

// forge signs what Sign would not.
func forge(t *testing.T, s cluster.GrantSecret, method jwt.SigningMethod, header map[string]any, c jwt.MapClaims) string {
	t.Helper()
	tok := jwt.NewWithClaims(method, c)
	tok.Header["kid"] = s.KID
	maps.Copy(tok.Header, header)
	var key any
	key, err := base64.RawURLEncoding.DecodeString(s.Secret)
	if method == jwt.SigningMethodNone {
		key = jwt.UnsafeAllowNoneSignatureType
	}
	must(t, "", err)
	out, err := tok.SignedString(key)
	return must(t, out, err)
}

func TestRefused(t *testing.T) {
	s, stranger := NewSecret(), NewSecret()
	exp := now.Add(time.Hour).Unix()
	ok := jwt.MapClaims{"aud": "device", "sub": "d", "exp": exp}
	with := func(k string, v any) jwt.MapClaims { c := maps.Clone(ok); c[k] = v; return c }
	without := func(k string) jwt.MapClaims { c := maps.Clone(ok); delete(c, k); return c }
	hs := jwt.SigningMethodHS256
	sameKID := cluster.GrantSecret{KID: s.KID, Secret: stranger.Secret}
	grant, err := SignGrant(s, "demo", "d", now.Add(time.Hour))
	must(t, grant, err)
	tok := forge(t, s, hs, nil, ok)
	for name, c := range map[string]struct {
		tok  string
		want code.Code
	}{
		"plain":              {tok, code.OK},
		"audience in a list": {forge(t, s, hs, nil, with("aud", []string{"device"})), code.OK},
		"unknown claim":      {forge(t, s, hs, nil, with("role", "x")), code.OK},
		"fraction of exp":    {forge(t, s, hs, nil, with("exp", float64(exp)+0.5)), code.OK},
		"empty":              {"", code.TokenInvalid},
		"garbage":            {"a.b.c", code.TokenInvalid},
		"two parts":          {tok[:strings.LastIndexByte(tok, '.')], code.TokenInvalid},
		"too long":           {tok + strings.Repeat("a", MaxLength), code.TokenInvalid},
		"trailing byte":      {tok + "A", code.TokenInvalid},
		"alg none":           {forge(t, s, jwt.SigningMethodNone, nil, ok), code.TokenInvalid},
		"alg HS512":          {forge(t, s, jwt.SigningMethodHS512, nil, ok), code.TokenInvalid},
		"unknown kid":        {forge(t, stranger, hs, nil, ok), code.TokenInvalid},
		"no kid":             {forge(t, s, hs, map[string]any{"kid": ""}, ok), code.TokenInvalid},
		"kid not a string":   {forge(t, s, hs, map[string]any{"kid": 7}, ok), code.TokenInvalid},
		"crit":               {forge(t, s, hs, map[string]any{"crit": []string{"x"}}, ok), code.TokenInvalid},
		"wrong secret":       {forge(t, sameKID, hs, nil, ok), code.TokenInvalid},
		"wrong and expired":  {forge(t, sameKID, hs, nil, with("exp", 1)), code.TokenInvalid},
		"expired":            {forge(t, s, hs, nil, with("exp", 1)), code.TokenExpired},
		"no exp":             {forge(t, s, hs, nil, without("exp")), code.TokenInvalid},
		"not yet":            {forge(t, s, hs, nil, with("nbf", exp)), code.TokenInvalid},
		"no sub":             {forge(t, s, hs, nil, without("sub")), code.TokenInvalid},
		"bad sub":            {forge(t, s, hs, nil, with("sub", "a b")), code.TokenInvalid},
		"no audience":        {forge(t, s, hs, nil, without("aud")), code.TokenInvalid},
		"two audiences":      {forge(t, s, hs, nil, with("aud", []string{"device", "bind"})), code.TokenInvalid},
		"a bind grant":       {grant, code.TokenInvalid},
		"alias, no product":  {forge(t, s, hs, nil, with("aliases", map[string]string{"demo": "x"})), code.TokenInvalid},
		"products no list":   {forge(t, s, hs, nil, with("products", "demo")), code.TokenInvalid},
	} {
		if _, cerr := Verify([]cluster.GrantSecret{s}, c.tok, now); codeOf(cerr) != c.want {
			t.Errorf("%s: %v, want %v", name, cerr, c.want)
		}
	}
}

func TestGrant(t *testing.T) {
	s := NewSecret()
	grant, err := SignGrant(s, "demo", "d", now.Add(time.Hour))
	must(t, grant, err)
	device, err := Sign(s, Device{Device: "d", Products: []string{"demo"}, Expires: now.Add(time.Hour)})
	must(t, device, err)
	for name, c := range map[string]struct {
		secret                 cluster.GrantSecret
		product, device, grant string
		at                     time.Duration
		want                   code.Code
	}{
		"plain":         {s, "demo", "d", grant, 0, code.OK},
		"other product": {s, "chat", "d", grant, 0, code.ProductNotGranted},
		"other device":  {s, "demo", "e", grant, 0, code.TokenWrongDevice},
		"other secret":  {NewSecret(), "demo", "d", grant, 0, code.TokenInvalid},
		"expired":       {s, "demo", "d", grant, 2 * time.Hour, code.TokenExpired},
		"device token":  {s, "demo", "d", device, 0, code.TokenInvalid},
	} {
		if got := codeOf(VerifyGrant([]cluster.GrantSecret{c.secret}, c.product, c.device, c.grant, now.Add(c.at))); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestSignRefusesWhatVerifyWould(t *testing.T) {
	many := make([]string, 500)
	for i := range many {
		many[i] = strings.Repeat("p", 40)
	}
	s := NewSecret()
	for name, c := range map[string]struct {
		s cluster.GrantSecret
		f func(*Device)
	}{
		"device":       {s, func(d *Device) { d.Device = "" }},
		"product":      {s, func(d *Device) { d.Products = []string{"demo", "ü"} }},
		"alias":        {s, func(d *Device) { d.Aliases = map[string]string{"demo": ""} }},
		"expiry":       {s, func(d *Device) { d.Expires = time.Time{} }},
		"too long":     {s, func(d *Device) { d.Products = append(d.Products, many...) }},
		"short secret": {cluster.GrantSecret{KID: "a", Secret: "YWJj"}, func(*Device) {}},
		"no base64":    {cluster.GrantSecret{KID: "a", Secret: "!"}, func(*Device) {}},
		"no kid":       {cluster.GrantSecret{Secret: s.Secret}, func(*Device) {}},
	} {
		d := good()
		c.f(&d)
		if tok, err := Sign(c.s, d); err == nil {
			t.Errorf("%s: signed %s", name, tok)
		}
	}
}

func TestKeys(t *testing.T) {
	k1, h1 := NewKey(now)
	k2, h2 := NewOperatorKey(now)
	h2.ExpiresMS = now.Add(time.Minute).UnixMilli()
	all := []cluster.KeyHash{h1, h2}
	if len(k1) != 48 || !strings.HasPrefix(k1, "ll_p_") || !strings.HasPrefix(k2, "ll_o_") || h1.ID != k1[:11] || strings.Contains(h1.Hash, k1) {
		t.Errorf("keys %q %q, stored %+v", k1, k2, h1)
	}
	if h, ok := MatchKey(all, k2, now); !ok || h != h2 {
		t.Errorf("MatchKey = %+v, %v", h, ok)
	}
	for name, c := range map[string]struct {
		key string
		at  time.Time
	}{"expired": {k2, now.Add(time.Minute)}, "other": {k1 + "x", now}, "empty": {"", now}, "the hash itself": {h1.Hash, now}} {
		if _, ok := MatchKey(all, c.key, c.at); ok {
			t.Errorf("%s: matched", name)
		}
	}
	if _, ok := MatchKey(nil, k1, now); ok {
		t.Error("matched nothing")
	}
}

func TestGivenKey(t *testing.T) {
	given := "correct-horse-battery-staple-2026"
	h, err := HashKey(given, now)
	if err != nil || strings.Contains(given, h.ID) {
		t.Fatalf("%+v, %v", h, err)
	}
	if _, ok := MatchKey([]cluster.KeyHash{h}, given, now); !ok {
		t.Error("no match")
	}
	for _, bad := range []string{"", "short", given + "\n"} {
		if _, err := HashKey(bad, now); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func FuzzVerify(f *testing.F) {
	s := NewSecret()
	tok, _ := Sign(s, good())
	f.Add(tok)
	f.Add("e30.e30.")
	f.Fuzz(func(t *testing.T, in string) {
		if d, err := Verify([]cluster.GrantSecret{s}, in, now); err == nil && in != tok {
			t.Errorf("%q was taken: %+v", in, d)
		}
	})
}
