package token

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"longlink/pkg/cluster"
)

const (
	productPrefix  = "ll_p_"
	operatorPrefix = "ll_o_"
	keyBytes       = 32
	keyLength      = len(productPrefix) + (keyBytes*8+5)/6 // base64url without padding
	idLength       = len(productPrefix) + 6

	// MinKey is the least length in characters of an operator key that a person
	// chose.
	MinKey = 32
)

// NewKey makes an API key for a product and what is stored of it.
func NewKey(now time.Time) (key string, h cluster.KeyHash) { return newKey(productPrefix, now) }

// NewOperatorKey makes an API key for the operator.
func NewOperatorKey(now time.Time) (key string, h cluster.KeyHash) {
	return newKey(operatorPrefix, now)
}

func newKey(prefix string, now time.Time) (string, cluster.KeyHash) {
	b := make([]byte, keyBytes)
	rand.Read(b)
	key := prefix + encode(b)
	return key, cluster.KeyHash{ID: keyID(key), Hash: HashOf(key), CreatedMS: now.UnixMilli()}
}

// HashKey is what is stored of a key that somebody gives, such as the operator
// key of the config. It must have at least MinKey characters: the hash is a
// fast one, so a short key could be found by trying.
func HashKey(key string, now time.Time) (cluster.KeyHash, error) {
	if len(key) < MinKey {
		return cluster.KeyHash{}, fmt.Errorf("the key has %d characters, it needs at least %d random ones", len(key), MinKey)
	}
	if strings.TrimSpace(key) != key {
		return cluster.KeyHash{}, fmt.Errorf("the key begins or ends with a blank")
	}
	return cluster.KeyHash{ID: keyID(key), Hash: HashOf(key), CreatedMS: now.UnixMilli()}, nil
}

// HashOf is the stored form of a key: SHA-256 in lower-case hex.
func HashOf(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

// keyID is how people tell keys apart: the beginning of one that this package
// made; of any other one, which may be less random, nothing of the key itself.
func keyID(key string) string {
	if len(key) == keyLength && (strings.HasPrefix(key, productPrefix) || strings.HasPrefix(key, operatorPrefix)) {
		return key[:idLength]
	}
	return "sha256:" + HashOf(key)[:8]
}

// MatchKey finds the hash of a key among those that have not expired. It takes
// the same time wherever the match is and whatever part of a hash is equal.
func MatchKey(hashes []cluster.KeyHash, key string, now time.Time) (cluster.KeyHash, bool) {
	want := []byte(HashOf(key))
	found := -1
	for i, h := range hashes {
		equal := subtle.ConstantTimeCompare([]byte(h.Hash), want) == 1
		if equal && (h.ExpiresMS == 0 || now.UnixMilli() < h.ExpiresMS) {
			found = i
		}
	}
	if found < 0 {
		return cluster.KeyHash{}, false
	}
	return hashes[found], true
}
