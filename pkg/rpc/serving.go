package rpc

import (
	"context"
	"errors"

	"github.com/cespare/xxhash/v2"
	"google.golang.org/grpc"

	"longlink/pkg/cluster"
	"longlink/pkg/code"
)

// ToServing is a way to the owner of a slot, for unary calls of a kind of which
// any instance serves any slot (saver): while the owner does not answer, another
// instance is asked. A call that was not sent moves to another one once; a call
// that was sent is never sent again.
func (p *Peers) ToServing(kind cluster.Kind, slot uint16) (grpc.ClientConnInterface, error) {
	owner, ok := p.views.View().Owner(kind, slot)
	if !ok {
		return nil, code.Errorf(code.Unavailable, "no %s in the cluster", kind)
	}
	return &serving{p, owner, uint64(slot)}, nil
}

// spare is the instance to ask instead of one that does not answer or has left:
// n chooses among the others of the kind, so that its load is spread over them.
// When none of them answers it is i itself.
func (p *Peers) spare(i cluster.Instance, n uint64) cluster.Instance {
	var others []cluster.Instance
	for _, o := range p.views.View().Kind(i.Kind) {
		if o.ID != i.ID && !p.Refuses(o) {
			others = append(others, o)
		}
	}
	if len(others) == 0 {
		return i
	}
	return others[(xxhash.Sum64String(i.ID)+n)%uint64(len(others))]
}

// instead is i, or its spare while i refuses.
func (p *Peers) instead(i cluster.Instance, n uint64) cluster.Instance {
	if p.Refuses(i) {
		return p.spare(i, n)
	}
	return i
}

// serving is the connection that ToServing gives.
type serving struct {
	p     *Peers
	owner cluster.Instance
	n     uint64
}

// Invoke implements grpc.ClientConnInterface.
func (s *serving) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	return s.twice(func(c grpc.ClientConnInterface) error { return c.Invoke(ctx, method, args, reply, opts...) })
}

// NewStream implements grpc.ClientConnInterface. Only the opening moves.
func (s *serving) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (cs grpc.ClientStream, err error) {
	err = s.twice(func(c grpc.ClientConnInterface) (err error) {
		cs, err = c.NewStream(ctx, desc, method, opts...)
		return err
	})
	return cs, err
}

// twice calls fn once, and once more with another instance when the first one
// has not seen the call.
func (s *serving) twice(fn func(grpc.ClientConnInterface) error) error {
	first := s.p.instead(s.owner, s.n)
	err := s.on(first, fn)
	if !unsent(err) {
		return err
	}
	second := s.p.instead(s.owner, s.n)
	if second.RPC == first.RPC {
		return err
	}
	return s.on(second, fn)
}

func (s *serving) on(i cluster.Instance, fn func(grpc.ClientConnInterface) error) error {
	c, err := s.p.Conn(i.RPC)
	if err != nil {
		return err
	}
	return fn(c)
}

// unsent is true for the failure of a call that the other side has not seen.
func unsent(err error) bool {
	var u *UnsentError
	return errors.As(err, &u)
}
