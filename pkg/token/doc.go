// Package token makes and checks the three credentials of the gateway: device
// tokens, bind grants and API keys. It holds no state; the secrets and hashes
// come from keeper's directory (pkg/cluster).
//
// # Device token
//
// A JWT (RFC 7519) in compact form, at most [MaxLength] bytes, that logs one
// device in. It is signed with the operator's token secret.
//
//	header  alg       "HS256"; nothing else is accepted
//	        kid       which of the token secrets signed; required
//	claims  aud       "device" (or ["device"]); required
//	        sub       the device id, [A-Za-z0-9._~-]{1,64}; required
//	        exp       seconds since 1970; required; 5 s of leeway
//	        iat       seconds since 1970; for people, not checked
//	        nbf       seconds since 1970; optional, checked with the same leeway
//	        products  array of the products that the device may bind; may be
//	                  absent or empty when every product is bound by a grant
//	        aliases   object product → alias, optional; each product must be in
//	                  products
//
// Product names and aliases have the form of device ids. Claims of other names
// are ignored. A header with "crit" is refused, as RFC 7515 asks of those who
// understand no extension.
//
// # Bind grant
//
// A JWT that lets one device, already logged in, bind one product. It is signed
// by the product's backend with that product's grant secret, so that a product
// can admit devices without the operator's secret.
//
//	header  alg       "HS256"
//	        kid       which of the product's grant secrets signed; required
//	claims  aud       "bind" (or ["bind"]); required
//	        sub       the device id; required
//	        product   the product's name; required
//	        exp       seconds since 1970; required; 5 s of leeway
//	        iat, nbf  as in a device token
//
// The audience keeps the two apart even if one secret were used for both: a
// grant never logs a device in and a device token never serves as a grant. An
// audience of more than one value is refused.
//
// # Secrets
//
// The key of the HMAC is the base64url decoding of a GrantSecret's Secret, with
// or without padding, at least 32 bytes (RFC 7518, section 3.2).
//
// # API keys
//
// A bearer secret, not a JWT: "ll_p_" (a product's) or "ll_o_" (the operator's)
// and 32 random bytes in base64url, 48 characters in all. Only the SHA-256 of
// the whole key in hex is stored. A slow, salted hash would add nothing: it
// makes guessing a low-entropy password dear, and 256 random bits cannot be
// guessed at any price. Operator keys that a person gives by config are hashed
// in the same way, hence their least length (see [HashKey]).
package token
