package rpc

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"

	"google.golang.org/grpc"

	"longlink/pkg/batch"
	"longlink/pkg/cluster"
	"longlink/pkg/code"
	"longlink/pkg/lifecycle"
)

func isEOF(err error) bool { return errors.Is(err, io.EOF) }

// Identity is who this instance is, for batch headers.
type Identity struct {
	ID    string
	Epoch uint64
}

// Peers is how one instance reaches the others: connections by address, dropped
// when no instance of the view has the address any more.
type Peers struct {
	net     Network
	views   cluster.Views
	self    Identity
	log     *slog.Logger
	batches *batch.Metrics
	life    *lifecycle.Metrics

	refusals *refusals
	outdated chan struct{} // capacity 1: the views are to be looked at again

	mu      sync.Mutex
	conns   map[string]*noting
	callers []interface{ prune(v *cluster.View) }
	group   *lifecycle.Group // that takes workers: nil before Run and when it ends
}

// NewPeers makes the set; Run must run before the first hot call.
func NewPeers(net Network, views cluster.Views, self Identity, log *slog.Logger, batches *batch.Metrics, life *lifecycle.Metrics) *Peers {
	return &Peers{net: net, views: views, self: self, log: log, batches: batches, life: life,
		conns: map[string]*noting{}, refusals: newRefusals(log), outdated: make(chan struct{}, 1)}
}

// Views is where the peers come from.
func (p *Peers) Views() cluster.Views { return p.views }

// Self is who calls.
func (p *Peers) Self() Identity { return p.self }

// Run serves the callers' workers until ctx ends, and closes all connections.
func (p *Peers) Run(ctx context.Context, ready func()) error {
	g := lifecycle.NewGroup(ctx, p.log, p.life)
	p.mu.Lock()
	p.group = g
	p.mu.Unlock()
	g.Go("peers", func(ctx context.Context) error {
		// No worker may start once this goroutine has ended: nobody would wait
		// for it.
		defer func() {
			p.mu.Lock()
			p.group = nil
			p.mu.Unlock()
		}()
		ready()
		v := p.views.View()
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-p.views.Changed(v):
			}
			v = p.views.View()
			p.prune(v)
		}
	})
	g.Go("peers.ping", p.pings)
	g.Go("peers.relist", p.relists)
	err := g.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		c.Close()
	}
	p.conns = nil
	return err
}

// addresses of the instances in a view.
func addresses(v *cluster.View) map[string]bool {
	live := map[string]bool{}
	for _, i := range v.All() {
		live[i.RPC] = true
	}
	return live
}

func (p *Peers) prune(v *cluster.View) {
	live := addresses(v)
	p.mu.Lock()
	callers := p.callers
	for addr, c := range p.conns {
		if !live[addr] {
			c.Close()
			delete(p.conns, addr)
		}
	}
	p.mu.Unlock()
	p.refusals.prune(live)
	for _, c := range callers {
		c.prune(v)
	}
}

// Conn is the connection to an address; it is made at the first use.
func (p *Peers) Conn(addr string) (grpc.ClientConnInterface, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.conn(addr)
}

// raw is Conn without the notes.
func (p *Peers) raw(addr string) (Conn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c, err := p.conn(addr)
	if err != nil {
		return nil, err
	}
	return c.Conn, nil
}

// conn is called under mu.
func (p *Peers) conn(addr string) (*noting, error) {
	if p.conns == nil {
		return nil, code.Errorf(code.Shutdown, "this instance is stopping")
	}
	c, ok := p.conns[addr]
	if !ok {
		raw, err := p.net.Dial(addr)
		if err != nil {
			return nil, code.Errorf(code.Unavailable, "%s: %v", addr, err)
		}
		c = &noting{raw, p, addr}
		p.conns[addr] = c
	}
	return c, nil
}

// To is the connection to one instance, UNAVAILABLE when the view lacks it, or
// holds it although it is gone from the registry and it does not answer.
func (p *Peers) To(kind cluster.Kind, id string) (grpc.ClientConnInterface, error) {
	i, ok := p.views.View().Get(kind, id)
	if !ok {
		return nil, code.Errorf(code.Unavailable, "no %s %s in the cluster", kind, id)
	}
	if e := p.skip(i); e != nil {
		return nil, e
	}
	return p.Conn(i.RPC)
}

// skip refuses a held instance that does not answer.
func (p *Peers) skip(i cluster.Instance) *code.Error {
	if i.Held && p.Refuses(i) {
		return code.Errorf(code.Unavailable, "%s %s has left the registry and does not answer", i.Kind, i.ID)
	}
	return nil
}

// ToOwner is the connection to the owner of a slot.
func (p *Peers) ToOwner(kind cluster.Kind, slot uint16) (grpc.ClientConnInterface, error) {
	i, ok := p.views.View().Owner(kind, slot)
	if !ok {
		return nil, code.Errorf(code.Unavailable, "no %s in the cluster", kind)
	}
	if e := p.skip(i); e != nil {
		return nil, e
	}
	return p.Conn(i.RPC)
}
