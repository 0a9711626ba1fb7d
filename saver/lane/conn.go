package lane

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Options say how to reach Redis. Either Addr, or Master with Sentinels, or
// Dialer (an in-process server).
type Options struct {
	Addr             string
	Master           string
	Sentinels        []string
	Username         string
	Password         string
	SentinelPassword string
	DB               int
	DialTimeout      time.Duration
	Timeout          time.Duration // of one call
	Connections      int           // most at once

	Dialer func(ctx context.Context) (net.Conn, error)
	// RunID asks which process is behind a connection; nil: INFO server.
	RunID func(ctx context.Context, c *redis.Conn) (string, error)

	Limits Limits
}

// Limits of lanes, judged inside the scripts.
type Limits struct {
	MaxMessages int           // in one lane
	MaxBytes    int           // in one lane
	Dedup       time.Duration // how long a dedup_id is remembered
}

// Store is the Redis that holds the lanes. It only makes connections.
type Store struct {
	client  *redis.Client
	runID   func(ctx context.Context, c *redis.Conn) (string, error)
	limits  Limits
	scripts scripts
}

// NewStore connects to nothing yet. go-redis must never repeat a command nor
// replace a connection by itself: a Conn stands for one Redis process.
func NewStore(o Options) *Store {
	s := &Store{runID: o.RunID, limits: o.Limits, scripts: newScripts()}
	if s.runID == nil {
		s.runID = infoRunID
	}
	off := &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	if o.Master != "" {
		s.client = redis.NewFailoverClient(&redis.FailoverOptions{
			MasterName: o.Master, SentinelAddrs: o.Sentinels, SentinelPassword: o.SentinelPassword,
			Username: o.Username, Password: o.Password, DB: o.DB, Protocol: 2, DisableIdentity: true,
			MaxRetries: -1, DialerRetries: 1, DialTimeout: o.DialTimeout, ReadTimeout: o.Timeout, WriteTimeout: o.Timeout,
			PoolSize: o.Connections,
		})
		return s
	}
	opt := &redis.Options{
		Addr: o.Addr, Username: o.Username, Password: o.Password, DB: o.DB, Protocol: 2, DisableIdentity: true,
		MaxRetries: -1, DialerRetries: 1, DialTimeout: o.DialTimeout, ReadTimeout: o.Timeout, WriteTimeout: o.Timeout,
		MaintNotificationsConfig: off, PoolSize: o.Connections,
	}
	if o.Dialer != nil {
		opt.Addr = "in-process"
		opt.Dialer = func(ctx context.Context, _, _ string) (net.Conn, error) { return o.Dialer(ctx) }
	}
	s.client = redis.NewClient(opt)
	return s
}

type noLog struct{}

func (noLog) Printf(context.Context, string, ...any) {}

// go-redis would print every failed dial to stderr; its callers report them.
func init() { redis.SetLogger(noLog{}) }

// Close ends the store after its connections were closed.
func (s *Store) Close() error { return s.client.Close() }

// Ping is nil when Redis answers a new connection.
func (s *Store) Ping(ctx context.Context) error {
	c, err := s.Dial(ctx)
	if err != nil {
		return err
	}
	return c.Close()
}

// Setting reads the server's configuration, "" where the server does not say
// (the in-process one, or CONFIG is forbidden).
func (s *Store) Setting(ctx context.Context, name string) string {
	c, err := s.Dial(ctx)
	if err != nil {
		return ""
	}
	defer c.Close()
	m, err := c.c.ConfigGet(ctx, name).Result()
	if err != nil {
		return ""
	}
	return m[name]
}

// Refused is true for errors with which Redis turns a script away before it has
// stored anything: out of memory, not the master, still loading.
func Refused(err error) bool {
	for _, p := range [...]string{"OOM", "LOADING", "READONLY", "MASTERDOWN", "NOREPLICAS", "MISCONF", "BUSY"} {
		if redis.HasErrorPrefix(err, p) {
			return true
		}
	}
	return false
}

// Conn is one connection to one Redis process. It is used by one goroutine.
// After any error it is of no more use: close it and dial a new one.
type Conn struct {
	store *Store
	c     *redis.Conn
	run   string
}

// Dial connects and asks for the run id.
func (s *Store) Dial(ctx context.Context) (*Conn, error) {
	c := s.client.EphemeralConn() // sticky: after an error it answers only errors
	run, err := s.runID(ctx, c)
	if err == nil && run == "" {
		err = errors.New("the server tells no run id")
	}
	if err != nil {
		return nil, errors.Join(err, closed(c))
	}
	return &Conn{store: s, c: c, run: run}, nil
}

// Run is the run id of what is behind the connection.
func (c *Conn) Run() string { return c.run }

// Ping is nil when the process still answers.
func (c *Conn) Ping(ctx context.Context) error { return c.c.Ping(ctx).Err() }

// Same is true when what is behind the connection still has the run id that it
// had at the dial: Redis takes another replication id also when its first
// replica comes and an hour after the last one went.
func (c *Conn) Same(ctx context.Context) (bool, error) {
	run, err := c.store.runID(ctx, c.c)
	return err == nil && run == c.run, err
}

// Close gives the connection up.
func (c *Conn) Close() error { return closed(c.c) }

func closed(c *redis.Conn) error {
	if err := c.Close(); err != nil && !errors.Is(err, redis.ErrClosed) {
		return err
	}
	return nil
}

// infoRunID names what the data behind the connection is: the process, and its
// replication id, which is new whenever a replica is promoted. The process alone
// would not do: a master that followed another one for a while and was promoted
// again without a restart has other data.
func infoRunID(ctx context.Context, c *redis.Conn) (string, error) {
	process, err := infoField(ctx, c, "server", "run_id:")
	if err != nil {
		return "", err
	}
	history, err := infoField(ctx, c, "replication", "master_replid:")
	if err != nil {
		return "", err
	}
	return process + "." + history, nil
}

func infoField(ctx context.Context, c *redis.Conn, section, field string) (string, error) {
	info, err := c.Info(ctx, section).Result()
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(info) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), field); ok && v != "" {
			return v, nil
		}
	}
	return "", fmt.Errorf("INFO %s has no %s", section, strings.TrimSuffix(field, ":"))
}

// SlotState is what Redis holds of a slot.
type SlotState struct {
	Gen   string // "": none
	Clock uint64
}

// States reads gen and clock of slots.
func (c *Conn) States(ctx context.Context, slots []uint16) ([]SlotState, error) {
	keys := make([]string, 0, 2*len(slots))
	for _, s := range slots {
		keys = append(keys, GenKey(s), ClockKey(s))
	}
	got, err := c.c.MGet(ctx, keys...).Result()
	if err != nil {
		return nil, err
	}
	out := make([]SlotState, len(slots))
	for i := range out {
		gen, _ := got[2*i].(string)
		clock, ok := got[2*i+1].(string)
		if !ok { // a gen without a clock serves nobody
			continue
		}
		out[i].Gen = gen
		if _, err := fmt.Sscan(clock, &out[i].Clock); err != nil {
			return nil, fmt.Errorf("clock of slot %d is %q: %w", slots[i], clock, err)
		}
	}
	return out, nil
}
