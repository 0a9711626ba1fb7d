package rpc

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"longlink/pkg/cluster"
	"longlink/pkg/lifecycle"
)

// refusedFor is how long an instance that refused a connection, or left a batch
// without an answer, is passed over at least. Then it is asked for a sign of
// life this often, so that no caller's item pays for finding out. The view drops
// a dead instance when its lease ends (keeper.lease_ttl), a held one later.
const refusedFor = time.Second

// pingMethod is served by nobody: that it is not implemented is the sign of
// life.
const pingMethod = "/longlink.Peers/Ping"

// refusals is which addresses do not answer at the moment. There are at most as
// many as the view has: prune forgets the others.
type refusals struct {
	log *slog.Logger

	mu    sync.Mutex
	since map[string]time.Time
	wake  chan struct{} // capacity 1
}

func newRefusals(log *slog.Logger) *refusals {
	return &refusals{log: log, since: map[string]time.Time{}, wake: make(chan struct{}, 1)}
}

// note counts an address as refusing from now on; why says how it was found.
func (r *refusals) note(addr, why string) {
	r.mu.Lock()
	_, known := r.since[addr]
	r.since[addr] = time.Now()
	r.mu.Unlock()
	if known {
		return
	}
	if r.log != nil {
		r.log.Warn("an instance does not answer; it is passed over where another one serves", "addr", addr, "reason", why)
	}
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (r *refusals) has(addr string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.since[addr]
	return ok
}

func (r *refusals) prune(live map[string]bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for addr := range r.since {
		if !live[addr] {
			delete(r.since, addr)
		}
	}
}

// due are those noted long enough ago to be asked; none is true when there is
// nobody to wait for.
func (r *refusals) due(now time.Time) (list []string, none bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for addr, at := range r.since {
		if now.Sub(at) >= refusedFor {
			list = append(list, addr)
		}
	}
	return list, len(r.since) == 0
}

// back ends the refusal of an address that has answered; a note that was made
// after asked stays.
func (r *refusals) back(addr string, asked time.Time) {
	r.mu.Lock()
	at, known := r.since[addr]
	ended := known && !at.After(asked)
	if ended {
		delete(r.since, addr)
	}
	r.mu.Unlock()
	if ended && r.log != nil {
		r.log.Info("an instance answers again", "addr", addr)
	}
}

// still has an address asked again refusedFor after the last time.
func (r *refusals) still(addr string, asked time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if at, known := r.since[addr]; known && at.Before(asked) {
		r.since[addr] = asked
	}
}

// pings asks those that refuse for a sign of life until ctx ends.
func (p *Peers) pings(ctx context.Context) error {
	t := time.NewTicker(refusedFor / 4)
	defer t.Stop()
	for {
		list, none := p.refusals.due(time.Now())
		if none {
			select {
			case <-p.refusals.wake:
			case <-ctx.Done():
				return nil
			}
		}
		// A queue that goes on for one that has left may have noted it since.
		live := addresses(p.views.View())
		p.refusals.prune(live)
		g := lifecycle.NewGroup(ctx, p.log, p.life)
		for _, addr := range slices.DeleteFunc(list, func(a string) bool { return !live[a] }) {
			g.Task("peers.ping", func(ctx context.Context) error { p.ping(ctx, addr); return nil })
		}
		_ = g.Wait() // its tasks return no error
		select {
		case <-t.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (p *Peers) ping(ctx context.Context, addr string) {
	asked := time.Now()
	ctx, cancel := context.WithTimeout(ctx, refusedFor)
	defer cancel()
	c, err := p.raw(addr)
	if err != nil {
		return
	}
	switch status.Code(c.Invoke(ctx, pingMethod, &emptypb.Empty{}, &emptypb.Empty{})) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled:
		p.refusals.still(addr, asked)
	default:
		p.refusals.back(addr, asked)
	}
}

// Refuses is true while an instance does not answer this one: it refused a
// connection, or left a batch without an answer in time, and has given no sign
// of life since.
func (p *Peers) Refuses(i cluster.Instance) bool { return p.refusals.has(i.RPC) }

// noting is a connection that notes when its address refuses.
type noting struct {
	Conn
	p    *Peers
	addr string
}

// Invoke implements grpc.ClientConnInterface.
func (n *noting) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	err := n.Conn.Invoke(ctx, method, args, reply, opts...)
	if unsent(err) {
		n.p.refusals.note(n.addr, err.Error())
	}
	return err
}

// NewStream implements grpc.ClientConnInterface.
func (n *noting) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	s, err := n.Conn.NewStream(ctx, desc, method, opts...)
	if status.Code(err) == codes.Unavailable && ctx.Err() == nil {
		n.p.refusals.note(n.addr, err.Error())
		err = &UnsentError{err}
	}
	return s, err
}
