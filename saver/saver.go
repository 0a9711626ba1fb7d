package saver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"google.golang.org/grpc"

	"longlink/pkg/api"
	"longlink/pkg/lifecycle"
	"longlink/pkg/service"
	"longlink/saver/lane"
	"longlink/saver/ledger"
)

// Saver is the service. One value serves one life: New, Register, Run.
type Saver struct {
	// Set by New.
	cfg      Config
	deps     service.Deps
	log      *slog.Logger
	metrics  *metrics
	embedded *lane.Embedded // nil when Redis is a server
	store    *lane.Store
	ledger   *ledger.Ledger
	guard    *lifecycle.Group // only its Guard: a panic costs one batch
	seams    seams

	appends  *pool[*appendJob]
	loads    *pool[*loadJob]
	acks     *pool[*ackJob]
	peeks    *pool[*peekJob]
	removes  *pool[*removeJob]
	commits  *commits
	cursors  *cursors
	claims   *claims
	turns    turns // of the rare calls
	waiters  *waiters
	upstream *upCommits
	upHeads  *upHeads
	upReads  *upReads
	rebuild  *rebuilds
	sweep    *sweep

	troubles troubles

	stopOnce sync.Once
	stopped  chan struct{} // closed when the stop begins
}

// New makes a saver. Files of the embedded form lie in dir. It connects to
// nothing; Run does.
func New(cfg Config, deps service.Deps, dir string) (*Saver, error) {
	if cfg.Redis.Mode != "embedded" {
		return newSaver(cfg, deps, dir, nil)
	}
	e, err := lane.NewEmbedded()
	if err != nil {
		return nil, fmt.Errorf("saver.redis.mode embedded: %w", err)
	}
	s, err := newSaver(cfg, deps, dir, e)
	if err != nil {
		return nil, errors.Join(err, e.Close())
	}
	s.embedded = e
	return s, nil
}

// newSaver makes a saver on a Redis inside this process that somebody else
// owns; nil: on the one that the config names.
func newSaver(cfg Config, deps service.Deps, dir string, in *lane.Embedded) (*Saver, error) {
	s := &Saver{cfg: cfg, deps: deps, log: deps.Log, metrics: newMetrics(deps.Registry), stopped: make(chan struct{})}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.troubles = newTroubles(s.log)
	s.guard = lifecycle.NewGroup(context.Background(), s.log, deps.Life)
	lo := ledger.Options{DSN: cfg.Ledger.DSN, Timeout: cfg.Redis.DialTimeout.Std()}
	if cfg.Ledger.Driver == "embedded" {
		if lo.Path = cfg.Ledger.Path; lo.Path == "" {
			lo.Path = filepath.Join(dir, "ledger.db")
		}
	}
	var err error
	if s.ledger, err = ledger.Open(lo); err != nil {
		return nil, fmt.Errorf("%s: %w", cfg.ledgerKey(), err)
	}
	s.metrics.countDeadlocks(deps.Registry, s.ledger.Deadlocks)
	ro := lane.Options{Addr: cfg.Redis.Addr, Username: cfg.Redis.Username, Password: cfg.Redis.Password,
		SentinelPassword: cfg.Redis.SentinelPassword, DB: cfg.Redis.DB,
		DialTimeout: cfg.Redis.DialTimeout.Std(), Timeout: cfg.Redis.Timeout.Std(),
		// A worker of each kind, one for looks and one for recalls, the rebuilds, and some for Ping.
		Connections: 3*cfg.Work.Workers + 2 + cfg.Rebuild.Workers + 8,
		Limits:      lane.Limits{MaxMessages: cfg.Lane.MaxMessages, MaxBytes: int(cfg.Lane.MaxBytes), Dedup: dedupFor}}
	switch {
	case in != nil:
		ro = in.Options(ro)
	case cfg.Redis.Mode == "sentinel":
		ro.Master, ro.Sentinels = cfg.Redis.Master, cfg.Redis.Sentinels
	}
	s.store = lane.NewStore(ro)

	w := cfg.Work.Workers
	s.appends = newPool(s, "redis.append", w, true, s.append)
	s.loads = newPool(s, "redis.load", w, false, s.load)
	s.acks = newPool(s, "redis.ack", w, false, s.ack)
	s.peeks = newPool(s, "redis.peek", 1, false, s.peek)
	s.removes = newPool(s, "redis.remove", 1, false, s.remove)
	s.commits = newCommits(s)
	s.cursors = newCursors(s)
	s.claims = newClaims(s)
	s.turns = make(turns, maxTurns)
	s.waiters = newWaiters(cfg.Work.Waiters, s.metrics)
	s.upstream = newUpCommits(s)
	s.upHeads = newUpHeads(s)
	s.upReads = newUpReads()
	s.rebuild = newRebuilds(s)
	s.sweep = newSweep(s)
	return s, nil
}

// Listen implements service.Service: nothing is open to outsiders.
func (s *Saver) Listen() error { return nil }

// Addresses implements service.Service.
func (s *Saver) Addresses() []string { return nil }

// Register implements service.Service.
func (s *Saver) Register(r grpc.ServiceRegistrar) { api.RegisterSaverServer(r, &door{s: s}) }

// Figures implements service.Service.
func (s *Saver) Figures() map[string]float64 {
	return map[string]float64{
		"queued":        float64(s.appends.queue.Len() + s.loads.queue.Len() + s.acks.queue.Len() + s.upstream.queue.Len()),
		"unready_slots": float64(s.rebuild.unready()),
		"sweep_pending": float64(s.sweep.table.len()),
	}
}

// Check implements service.Service: both stores answer.
func (s *Saver) Check(ctx context.Context) error {
	if err := s.store.Ping(ctx); err != nil {
		return fmt.Errorf("%s: Redis does not answer: %w", s.cfg.redisKey(), err)
	}
	if err := s.ledger.Ping(ctx); err != nil {
		return fmt.Errorf("%s: the ledger does not answer: %w", s.cfg.ledgerKey(), err)
	}
	return nil
}

// Run connects to the stores, brings the schema forward and serves until ctx
// ends. The stop: (1) no more items are taken, those in work are finished,
// (2) cursors and aliases reach the ledger, (3) the ledger's last commits end, (4) the
// connections and stores are closed.
func (s *Saver) Run(ctx context.Context, ready func()) (err error) {
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.open(ctx); err != nil {
		return err
	}
	base := context.WithoutCancel(ctx)
	back := lifecycle.NewGroup(base, s.log, s.deps.Life) // outlives the workers
	if s.embedded != nil {
		back.Go("saver.embedded", s.embedded.Run)
	}
	s.commits.queue.Run(base, back)
	back.Go("saver.maintain", s.maintain)

	curs := lifecycle.NewGroup(base, s.log, s.deps.Life)
	curs.Go("saver.cursors", s.cursors.run)
	curs.Go("saver.claims", s.claims.run)
	curs.Go("saver.heirs", s.disinherit)

	front := lifecycle.NewGroup(base, s.log, s.deps.Life)
	s.rebuild.start(front)
	s.appends.queue.Run(base, front)
	s.loads.queue.Run(base, front)
	s.acks.queue.Run(base, front)
	s.peeks.queue.Run(base, front)
	s.removes.queue.Run(base, front)
	s.upstream.queue.Run(base, front)
	s.sweep.start(base, front)
	ready()

	select {
	case <-ctx.Done():
	case <-front.Context().Done():
	case <-curs.Context().Done():
	case <-back.Context().Done():
	}
	s.stop()
	front.Cancel()
	err = front.Wait()
	curs.Cancel()
	err = errors.Join(err, curs.Wait())
	back.Cancel()
	return errors.Join(err, back.Wait())
}

func (s *Saver) stop() { s.stopOnce.Do(func() { close(s.stopped) }) }

func (s *Saver) stopping() bool {
	select {
	case <-s.stopped:
		return true
	default:
		return false
	}
}

func (s *Saver) close() error {
	s.stop()
	for _, l := range s.links() {
		l.drop(nil)
	}
	err := errors.Join(s.store.Close(), s.ledger.Close())
	if s.embedded != nil {
		err = errors.Join(err, s.embedded.Close())
	}
	return err
}

func (s *Saver) links() (all []*link) {
	all = append(all, s.appends.links...)
	all = append(all, s.loads.links...)
	all = append(all, s.acks.links...)
	all = append(all, s.peeks.links...)
	return append(all, s.removes.links...)
}

// maintainEvery is how often expired days are dropped and coming ones made.
const maintainEvery = 6 * time.Hour

func (s *Saver) maintain(ctx context.Context) error {
	t := time.NewTicker(maintainEvery)
	defer t.Stop()
	for {
		// The first round's days were prepared before the first append.
		if err := s.ledger.Clean(ctx, time.Now()); err != nil && ctx.Err() == nil {
			s.log.Error("expired rows of the ledger could not be deleted; trying again later", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		if err := s.ledger.Prepare(ctx, time.Now()); err != nil && ctx.Err() == nil {
			s.log.Error("the days of the ledger could not be prepared; trying again later", "err", err)
		}
	}
}
