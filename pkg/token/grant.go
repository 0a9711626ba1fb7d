package token

import (
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"longlink/pkg/cluster"
	"longlink/pkg/code"
)

// SignGrant makes a bind grant with a grant secret of the product.
func SignGrant(secret cluster.GrantSecret, product, device string, expires time.Time) (string, error) {
	if !validName(product) || !validName(device) {
		return "", fmt.Errorf("product %q and device %q must be 1 to %d characters A-Z a-z 0-9 . _ ~ -", product, device, maxName)
	}
	if expires.Unix() <= 0 {
		return "", errors.New("a grant needs an expiry")
	}
	return sign(secret, claims{
		RegisteredClaims: jwt.RegisteredClaims{Audience: jwt.ClaimStrings{audBind}, Subject: device,
			IssuedAt: jwt.NewNumericDate(time.Now()), ExpiresAt: jwt.NewNumericDate(expires)},
		Product: product,
	})
}

// VerifyGrant checks that a bind grant, signed with one of the product's grant
// secrets, lets the device bind the product; nil when it does. The errors are
// TOKEN_INVALID, TOKEN_EXPIRED, TOKEN_WRONG_DEVICE (a grant for another device)
// and PRODUCT_NOT_GRANTED (a grant for another product).
func VerifyGrant(secrets []cluster.GrantSecret, product, device, grant string, now time.Time) *code.Error {
	c, err := parse(secrets, grant, audBind, now)
	switch {
	case err != nil:
		return err
	case c.Product != product:
		return code.Errorf(code.ProductNotGranted, "the grant is for another product")
	case c.Subject != device:
		return code.Errorf(code.TokenWrongDevice, "the grant is for another device")
	}
	return nil
}
