package center

import (
	"context"
	"slices"
	"strings"
	"time"

	"longlink/pkg/api"
	"longlink/pkg/cluster"
	"longlink/pkg/code"
	"longlink/pkg/rpc"
	"longlink/pkg/token"
)

// ListProducts implements api.CenterServer: by name, limit at a time; the
// cursor is the last name of the page before.
func (s *server) ListProducts(ctx context.Context, r *api.ListProductsRequest) (*api.ListProductsReply, error) {
	if err := onlyOperator(ctx); err != nil {
		return nil, err
	}
	limit, err := pageSize(r.Limit)
	if err != nil {
		return nil, err
	}
	if err := checkCursor(r.Cursor); err != nil {
		return nil, err
	}
	all := s.deps.Directory.Products()
	from, after := slices.BinarySearchFunc(all, r.Cursor, func(p *cluster.Product, name string) int { return strings.Compare(p.Name, name) })
	if after {
		from++
	}
	out := &api.ListProductsReply{}
	for _, p := range all[from:] {
		if len(out.Products) == limit {
			out.NextCursor = out.Products[limit-1].Name
			break
		}
		out.Products = append(out.Products, describeProduct(p))
	}
	return out, nil
}

// GetProduct implements api.CenterServer.
func (s *server) GetProduct(ctx context.Context, r *api.GetProductRequest) (*api.Product, error) {
	if err := onlyOperator(ctx); err != nil {
		return nil, err
	}
	if err := checkID("name", r.Name); err != nil {
		return nil, err
	}
	p, ok := s.deps.Directory.Product(r.Name)
	if !ok {
		return nil, code.Errorf(code.UnknownProduct, "there is no product %s", r.Name).WithField("name")
	}
	return describeProduct(p), nil
}

func describeProduct(p *cluster.Product) *api.Product {
	out := &api.Product{Name: p.Name, CreatedMs: p.CreatedMS}
	now := time.Now().UnixMilli()
	for _, k := range p.Keys {
		if k.ExpiresMS == 0 || now < k.ExpiresMS {
			out.KeyIds = append(out.KeyIds, k.ID)
		}
	}
	return out
}

// CreateProduct implements api.CenterServer.
func (s *server) CreateProduct(ctx context.Context, r *api.CreateProductRequest) (*api.ProductKey, error) {
	if err := s.mayChange(ctx, r.Name); err != nil {
		return nil, err
	}
	p, key, err := s.products.CreateProduct(ctx, r.Name)
	if err != nil {
		return nil, err
	}
	s.log.Info("product created", "request_id", rpc.RequestID(ctx), "product", r.Name)
	out := &api.ProductKey{Name: p.Name, ApiKey: key}
	if len(p.GrantSecrets) > 0 {
		out.GrantSecret, out.GrantKid = p.GrantSecrets[0].Secret, p.GrantSecrets[0].KID
	}
	return out, nil
}

// RotateProductKey implements api.CenterServer.
func (s *server) RotateProductKey(ctx context.Context, r *api.RotateProductKeyRequest) (*api.ProductKey, error) {
	if err := s.mayChange(ctx, r.Name); err != nil {
		return nil, err
	}
	p, key, err := s.products.RotateKey(ctx, r.Name, false)
	if err != nil {
		return nil, err
	}
	s.log.Info("product key rotated", "request_id", rpc.RequestID(ctx), "product", r.Name)
	return &api.ProductKey{Name: p.Name, ApiKey: key}, nil
}

// DeleteProduct implements api.CenterServer.
func (s *server) DeleteProduct(ctx context.Context, r *api.DeleteProductRequest) (*api.DeleteProductReply, error) {
	if err := s.mayChange(ctx, r.Name); err != nil {
		return nil, err
	}
	if err := s.products.DeleteProduct(ctx, r.Name); err != nil {
		return nil, err
	}
	s.log.Info("product deleted", "request_id", rpc.RequestID(ctx), "product", r.Name)
	return &api.DeleteProductReply{}, nil
}

func (s *server) mayChange(ctx context.Context, name string) error {
	if err := onlyOperator(ctx); err != nil {
		return err
	}
	if err := checkID("name", name); err != nil {
		return err
	}
	return nil
}

// CreateToken implements api.CenterServer: a device token, signed with the
// first of the operator's token secrets.
func (s *server) CreateToken(ctx context.Context, r *api.CreateTokenRequest) (*api.CreateTokenReply, error) {
	if err := onlyOperator(ctx); err != nil {
		return nil, err
	}
	if err := checkID("device", r.Device); err != nil {
		return nil, err
	}
	if len(r.Products) > maxTokenBinds {
		return nil, code.Invalid("products", "has %d products, at most %d are taken", len(r.Products), maxTokenBinds)
	}
	for _, p := range r.Products {
		if _, ok := s.deps.Directory.Product(p); !ok {
			return nil, code.Errorf(code.UnknownProduct, "there is no product %q", p).WithField("products")
		}
	}
	for p, a := range r.Aliases {
		if !slices.Contains(r.Products, p) {
			return nil, code.Invalid("aliases", "product %q is not in products", p)
		}
		if err := checkID("aliases", a); err != nil {
			return nil, err
		}
	}
	ttl := time.Duration(r.TtlMs) * time.Millisecond
	if r.TtlMs == 0 {
		ttl = defaultToken
	}
	if r.TtlMs < 0 || ttl < minTTL || r.TtlMs > s.cfg.MaxTokenTTL.Std().Milliseconds() {
		return nil, code.Invalid("ttl", "must be between 1s and %s", s.cfg.MaxTokenTTL)
	}
	secrets := s.deps.Directory.Secrets()
	if secrets == nil || len(secrets.TokenSecrets) == 0 {
		return nil, code.Errorf(code.Unavailable, "the token secret is not known yet")
	}
	expires := time.Now().Add(ttl).Truncate(time.Second)
	tok, err := token.Sign(secrets.TokenSecrets[0], token.Device{Device: r.Device, Products: r.Products, Aliases: r.Aliases, Expires: expires})
	if err != nil {
		return nil, err
	}
	return &api.CreateTokenReply{Token: tok, ExpiresMs: expires.UnixMilli()}, nil
}
