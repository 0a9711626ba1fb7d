package token

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"longlink/pkg/cluster"
	"longlink/pkg/code"
)

const (
	// MaxLength of a device token or grant in bytes; longer ones are refused
	// unread.
	MaxLength = 8 << 10
	// Leeway is how far exp and nbf may be missed: hosts agree within a second,
	// the issuer's clock is a stranger's.
	Leeway = 5 * time.Second

	minSecret = 32 // bytes, RFC 7518 section 3.2
	maxName   = 64

	audDevice = "device"
	audBind   = "bind"
)

// NewSecret makes a random secret of 32 bytes with a random kid.
func NewSecret() cluster.GrantSecret {
	b := make([]byte, minSecret+6)
	rand.Read(b) // never fails, says its documentation
	return cluster.GrantSecret{KID: encode(b[minSecret:]), Secret: encode(b[:minSecret])}
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func secretBytes(s cluster.GrantSecret) ([]byte, error) {
	b, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(s.Secret, "="))
	if err != nil {
		return nil, fmt.Errorf("secret %q is not base64url", s.KID)
	}
	if len(b) < minSecret {
		return nil, fmt.Errorf("secret %q has %d bytes, it needs %d", s.KID, len(b), minSecret)
	}
	return b, nil
}

// claims of both kinds; which fields are filled depends on the audience.
type claims struct {
	jwt.RegisteredClaims
	Products []string          `json:"products,omitempty"`
	Aliases  map[string]string `json:"aliases,omitempty"`
	Product  string            `json:"product,omitempty"`
}

func sign(s cluster.GrantSecret, c claims) (string, error) {
	key, err := secretBytes(s)
	if err != nil {
		return "", err
	}
	if s.KID == "" {
		return "", errors.New("the secret has no kid")
	}
	t := jwt.NewWithClaims(jwt.SigningMethodHS256, c)
	t.Header["kid"] = s.KID
	out, err := t.SignedString(key)
	if err == nil && len(out) > MaxLength {
		err = fmt.Errorf("the token would have %d bytes, the limit is %d: name fewer products", len(out), MaxLength)
	}
	return out, err
}

// parse checks form, signature, audience and time, in this order.
func parse(secrets []cluster.GrantSecret, tok, audience string, now time.Time) (*claims, *code.Error) {
	if len(tok) > MaxLength {
		return nil, code.Errorf(code.TokenInvalid, "longer than %d bytes", MaxLength)
	}
	p := jwt.NewParser(jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}), jwt.WithStrictDecoding(), jwt.WithoutClaimsValidation())
	var c claims
	if _, err := p.ParseWithClaims(tok, &c, func(t *jwt.Token) (any, error) {
		if _, ok := t.Header["crit"]; ok {
			return nil, errors.New("the header has crit")
		}
		kid, _ := t.Header["kid"].(string)
		for _, s := range secrets {
			if kid != "" && s.KID == kid {
				return secretBytes(s)
			}
		}
		return nil, errors.New("no secret has this kid")
	}); err != nil {
		return nil, code.Errorf(code.TokenInvalid, "%s", reason(err))
	}
	switch {
	case len(c.Audience) != 1 || c.Audience[0] != audience:
		return nil, code.Errorf(code.TokenInvalid, "aud must be %q", audience)
	case !validName(c.Subject):
		return nil, code.Errorf(code.TokenInvalid, "sub must be a device id of 1 to %d characters A-Z a-z 0-9 . _ ~ -", maxName)
	case c.ExpiresAt == nil || c.ExpiresAt.Unix() <= 0:
		return nil, code.Errorf(code.TokenInvalid, "exp is missing")
	case !now.Before(c.ExpiresAt.Add(Leeway)):
		return nil, code.Errorf(code.TokenExpired, "expired at %s", c.ExpiresAt.UTC().Format(time.RFC3339))
	case c.NotBefore != nil && now.Add(Leeway).Before(c.NotBefore.Time):
		return nil, code.Errorf(code.TokenInvalid, "not valid before %s", c.NotBefore.UTC().Format(time.RFC3339))
	}
	return &c, nil
}

// reason says what is wrong without the library's wrapping.
func reason(err error) string {
	switch {
	case errors.Is(err, jwt.ErrTokenSignatureInvalid):
		return "the signature is wrong or not HS256"
	case errors.Is(err, jwt.ErrTokenMalformed):
		return "not a JWT"
	case errors.Is(err, jwt.ErrTokenUnverifiable):
		return "kid names no secret that is known here"
	}
	return "it cannot be checked"
}

func validName(s string) bool {
	if s == "" || len(s) > maxName {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '_', c == '~', c == '-':
		default:
			return false
		}
	}
	return true
}
