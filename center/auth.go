package center

import (
	"context"
	"strings"
	"sync"
	"time"

	"longlink/pkg/cluster"
	"longlink/pkg/code"
	"longlink/pkg/token"
)

// principal is who calls: the operator (role O), or a product (role P).
type principal struct {
	product string // empty: the operator
	keyID   string // for log lines
}

func (p principal) operator() bool { return p.product == "" }

type principalKey struct{}

func withPrincipal(ctx context.Context, p principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// caller is who calls, UNAUTHENTICATED when nobody was let in.
func caller(ctx context.Context) (principal, *code.Error) {
	p, ok := ctx.Value(principalKey{}).(principal)
	if !ok {
		return p, code.Errorf(code.Unauthenticated, "send an API key: Authorization: Bearer KEY")
	}
	return p, nil
}

// onlyOperator refuses every product's key.
func onlyOperator(ctx context.Context) *code.Error {
	p, err := caller(ctx)
	if err == nil && !p.operator() {
		err = code.Errorf(code.PermissionDenied, "this needs the operator's key, not that of a product")
	}
	return err
}

// inScope lets the operator act on every product and a product on itself. A
// product's key learns nothing of others, not even whether they exist.
func (p principal) inScope(product string) *code.Error {
	if !p.operator() && p.product != product {
		return code.Errorf(code.PermissionDenied, "this is the key of product %s, it cannot act for another one", p.product).WithField("product")
	}
	return nil
}

// keyring tells whose an API key is. It remembers which product a key was found
// at, by the key's hash, so that a call costs one comparison instead of one a
// product; every call is checked against the directory as it is now.
type keyring struct {
	dir cluster.Directory

	mu    sync.Mutex
	found map[string]string // hash to product, at most maxFound
}

const maxFound = 4096

func newKeyring(dir cluster.Directory) *keyring {
	return &keyring{dir: dir, found: map[string]string{}}
}

// identify checks the value of an Authorization header.
func (k *keyring) identify(header string, now time.Time) (principal, *code.Error) {
	scheme, key, ok := strings.Cut(header, " ")
	if key = strings.TrimSpace(key); !ok || !strings.EqualFold(scheme, "Bearer") || key == "" {
		return principal{}, code.Errorf(code.Unauthenticated, "send an API key: Authorization: Bearer KEY")
	}
	if s := k.dir.Secrets(); s != nil {
		if h, ok := token.MatchKey(s.OperatorKeys, key, now); ok {
			return principal{keyID: h.ID}, nil
		}
	}
	hash := token.HashOf(key)
	k.mu.Lock()
	name, known := k.found[hash]
	k.mu.Unlock()
	if known {
		if p, ok := k.dir.Product(name); ok {
			if h, ok := token.MatchKey(p.Keys, key, now); ok {
				return principal{name, h.ID}, nil
			}
		}
	}
	for _, p := range k.dir.Products() {
		if h, ok := token.MatchKey(p.Keys, key, now); ok {
			k.remember(hash, p.Name)
			return principal{p.Name, h.ID}, nil
		}
	}
	return principal{}, code.Errorf(code.Unauthenticated, "the API key is not valid; it may have been rotated or its product deleted")
}

func (k *keyring) remember(hash, product string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.found) >= maxFound {
		clear(k.found)
	}
	k.found[hash] = product
}
