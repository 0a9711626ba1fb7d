package center

import (
	"context"

	"longlink/pkg/code"
)

// productFor is the product that a call is about: the one it names, which must
// be there and the caller's; with a product's key none means the key's own.
func (s *server) productFor(ctx context.Context, name string) (string, *code.Error) {
	who, err := caller(ctx)
	switch {
	case err != nil:
		return "", err
	case name == "" && who.operator():
		return "", code.Invalid("product", "must not be empty: the operator's key acts for every product, so name one")
	case name == "":
		return who.product, nil
	}
	return name, s.mayActFor(who, name)
}

// productOrAny is productFor for a call whose product the operator may leave
// out: empty is any product then.
func (s *server) productOrAny(ctx context.Context, name string) (string, *code.Error) {
	if who, err := caller(ctx); err == nil && who.operator() && name == "" {
		return "", nil
	}
	return s.productFor(ctx, name)
}

// mayActFor checks a product that a call names.
func (s *server) mayActFor(who principal, name string) *code.Error {
	if err := checkID("product", name); err != nil {
		return err
	}
	if err := who.inScope(name); err != nil {
		return err
	}
	if _, ok := s.deps.Directory.Product(name); !ok {
		return code.Errorf(code.UnknownProduct, "there is no product %s", name).WithField("product")
	}
	return nil
}
