package cluster

// Product is an app that is multiplexed on the devices' connections, as keeper
// stores it: one key each, followed by rooms and centers. API keys are stored
// as hashes only; grant secrets must be readable to be checked.
type Product struct {
	Name         string        `json:"name"`
	CreatedMS    int64         `json:"created_ms"`
	Keys         []KeyHash     `json:"keys"`
	GrantSecrets []GrantSecret `json:"grant_secrets"`
	// Incarnation tells a product from a deleted one of the same name.
	Incarnation uint64 `json:"incarnation"`
	Revision    int64  `json:"-"` // of its key in etcd, for compare-and-put
}

// KeyHash is an API key of which only the hash is kept (see pkg/token).
type KeyHash struct {
	ID        string `json:"id"` // the first characters of the key, for people
	Hash      string `json:"hash"`
	CreatedMS int64  `json:"created_ms"`
	// ExpiresMS ends a rotated key; 0: no end.
	ExpiresMS int64 `json:"expires_ms,omitempty"`
}

// GrantSecret signs bind grants of one product.
type GrantSecret struct {
	KID    string `json:"kid"`
	Secret string `json:"secret"` // base64url
}

// Secrets are what the whole cluster shares.
type Secrets struct {
	// TokenSecrets verify device tokens; the first one signs. Base64url.
	TokenSecrets []GrantSecret `json:"token_secrets"`
	// OperatorKeys are hashes of the operators' API keys.
	OperatorKeys []KeyHash `json:"operator_keys"`
}

// Directory is what rooms and centers read of products, keys and secrets: a
// snapshot that keeper follows live. It answers from memory and never fails;
// an outage of etcd leaves the last state.
type Directory interface {
	Product(name string) (*Product, bool)
	Products() []*Product // by name
	Secrets() *Secrets
	// Changed returns a channel that is closed at the next change.
	Changed() <-chan struct{}
}
