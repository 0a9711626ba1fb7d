package dispatcher

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"longlink/pkg/api"
	"longlink/pkg/cluster"
)

const (
	// pollTimeout of one question to a keeper.
	pollTimeout = 2 * time.Second
	// maxLoadAge is the age at which figures are not believed any more.
	maxLoadAge = 30 * time.Second
	// reopen is how far below full_percent a full room must fall before it is
	// given out again, so that it does not flap.
	reopen = 5
)

// life is one life of a room: figures of an earlier one say nothing.
type life struct {
	id    string
	epoch uint64
}

// loads says which rooms are full, as a keeper heard it from them. They are a
// help, not a need: without them nothing is full, and a full room says so
// itself.
type loads struct {
	at   time.Time
	full map[life]bool
}

// poller asks a keeper every few seconds.
type poller struct {
	s     *Service
	now   func() time.Time
	loads atomic.Pointer[loads] // nil: none, or too old
}

// run polls until ctx ends.
func (p *poller) run(ctx context.Context) error {
	t := time.NewTicker(p.s.cfg.Full.Interval.Std())
	defer t.Stop()
	for {
		p.poll(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}

// poll asks the keepers in random order until one answers.
func (p *poller) poll(ctx context.Context) {
	keepers := p.s.views.View().Kind(cluster.Keeper)
	for _, i := range rand.Perm(len(keepers)) {
		reply, err := p.ask(ctx, keepers[i])
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			p.s.metrics.polls.WithLabelValues("ok").Inc()
			p.take(reply)
			return
		}
		p.s.log.Debug("no load figures from a keeper", "keeper", keepers[i].ID, "err", err)
	}
	p.s.metrics.polls.WithLabelValues("failed").Inc()
	if old := p.loads.Load(); old != nil && p.now().Sub(old.at) > maxLoadAge {
		p.loads.Store(nil)
		p.s.log.Warn("no keeper answers: going on without the rooms' load figures")
	}
}

func (p *poller) ask(ctx context.Context, keeper cluster.Instance) (*api.ServicesReply, error) {
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	cc, err := p.s.peers.Conn(keeper.RPC)
	if err != nil {
		return nil, err
	}
	return api.NewKeeperClient(cc).Services(ctx, &api.ServicesRequest{Kind: string(cluster.Room)})
}

func (p *poller) take(reply *api.ServicesReply) {
	var was map[life]bool
	if old := p.loads.Load(); old != nil {
		was = old.full
	}
	next := &loads{at: p.now(), full: map[life]bool{}}
	for _, i := range reply.Instances {
		l := life{i.Id, i.Epoch}
		line := p.s.cfg.Full.Percent
		if was[l] {
			line -= reopen
		}
		if capacity := i.Figures["capacity"]; capacity > 0 && i.Figures["connections"]*100 >= capacity*float64(line) {
			next.full[l] = true
		}
	}
	p.loads.Store(next)
}
