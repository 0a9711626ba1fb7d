package token

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"longlink/pkg/cluster"
	"longlink/pkg/code"
)

// Device is what a device token says.
type Device struct {
	Device   string            // device id
	Products []string          // that it may bind without a grant
	Aliases  map[string]string // product → alias, may be nil
	Expires  time.Time         // whole seconds
}

// Sign makes a device token. It refuses what Verify would refuse.
func Sign(secret cluster.GrantSecret, d Device) (string, error) {
	if err := d.check(); err != nil {
		return "", err
	}
	if d.Expires.Unix() <= 0 {
		return "", errors.New("a device token needs an expiry")
	}
	return sign(secret, claims{
		RegisteredClaims: jwt.RegisteredClaims{Audience: jwt.ClaimStrings{audDevice}, Subject: d.Device,
			IssuedAt: jwt.NewNumericDate(time.Now()), ExpiresAt: jwt.NewNumericDate(d.Expires)},
		Products: d.Products, Aliases: d.Aliases,
	})
}

// Verify checks a device token against the operator's token secrets and
// returns what it says, TOKEN_INVALID or TOKEN_EXPIRED. That the token is for
// the device that shows it is the caller's to compare.
func Verify(secrets []cluster.GrantSecret, tok string, now time.Time) (*Device, *code.Error) {
	c, err := parse(secrets, tok, audDevice, now)
	if err != nil {
		return nil, err
	}
	d := &Device{Device: c.Subject, Products: c.Products, Aliases: c.Aliases, Expires: c.ExpiresAt.Time}
	if err := d.check(); err != nil {
		return nil, code.Errorf(code.TokenInvalid, "%v", err)
	}
	return d, nil
}

func (d *Device) check() error {
	if !validName(d.Device) {
		return fmt.Errorf("device %q must be 1 to %d characters A-Z a-z 0-9 . _ ~ -", d.Device, maxName)
	}
	for _, p := range d.Products {
		if !validName(p) {
			return fmt.Errorf("product %q must be 1 to %d characters A-Z a-z 0-9 . _ ~ -", p, maxName)
		}
	}
	for p, a := range d.Aliases {
		if !slices.Contains(d.Products, p) {
			return fmt.Errorf("there is an alias for product %q, which is not in products", p)
		}
		if !validName(a) {
			return fmt.Errorf("alias %q must be 1 to %d characters A-Z a-z 0-9 . _ ~ -", a, maxName)
		}
	}
	return nil
}
