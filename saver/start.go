package saver

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"

	"longlink/saver/ledger"
)

// redisKey and ledgerKey are the config keys that errors about a store name.
func (c *Config) redisKey() string {
	switch c.Redis.Mode {
	case "sentinel":
		return "saver.redis.sentinels " + strings.Join(c.Redis.Sentinels, ",")
	case "single":
		return "saver.redis.addr " + c.Redis.Addr
	}
	return "saver.redis.mode embedded"
}

func (c *Config) ledgerKey() string {
	if c.Ledger.Driver == "embedded" {
		return "saver.ledger.path " + c.Ledger.Path
	}
	if dsn, err := mysql.ParseDSN(c.Ledger.DSN); err == nil {
		return "saver.ledger.dsn " + dsn.Addr + "/" + dsn.DBName // never the password
	}
	return "saver.ledger.dsn"
}

// open waits a bounded time for both stores, refuses what would lose messages,
// and brings the schema forward.
func (s *Saver) open(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	limit := s.cfg.Work.StartTimeout.Std()
	if err := try(ctx, limit, s.store.Ping); err != nil {
		return fmt.Errorf("%s: Redis cannot be reached: %w; start it or correct the address", s.cfg.redisKey(), err)
	}
	if err := try(ctx, limit, s.ledger.Ping); err != nil {
		return fmt.Errorf("%s: the ledger cannot be opened: %w; start the database or correct the key", s.cfg.ledgerKey(), err)
	}
	if p := s.store.Setting(ctx, "maxmemory-policy"); p != "" && p != "noeviction" {
		return fmt.Errorf("%s: Redis has maxmemory-policy %s and would throw messages away; set it to noeviction", s.cfg.redisKey(), p)
	}
	if s.cfg.Redis.Mode == "sentinel" && s.store.Setting(ctx, "min-replicas-to-write") == "0" {
		s.log.Warn("min-replicas-to-write is 0: a master that was cut off goes on taking messages; set it to 1", "key", s.cfg.redisKey())
	}
	warnings, err := s.ledger.Warnings(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", s.cfg.ledgerKey(), err)
	}
	for _, w := range warnings {
		s.log.Warn(w, "key", s.cfg.ledgerKey())
	}
	if err := s.ledger.Migrate(ctx); err != nil {
		var newer *ledger.SchemaError
		if errors.As(err, &newer) {
			return fmt.Errorf("%s: %w", s.cfg.ledgerKey(), err)
		}
		return fmt.Errorf("%s: the schema cannot be brought forward: %w; the user needs the rights to create and alter tables", s.cfg.ledgerKey(), err)
	}
	if have, known, err := s.ledger.Schema(ctx); err != nil {
		return fmt.Errorf("%s: %w", s.cfg.ledgerKey(), err)
	} else if have > known {
		s.log.Warn("the ledger's schema is newer than this program, which may work on it; upgrade this program too", "schema", have, "known", known)
	}
	if err := s.ledger.Prepare(ctx, time.Now()); err != nil {
		return fmt.Errorf("%s: the days of the ledger cannot be prepared: %w", s.cfg.ledgerKey(), err)
	}
	return nil
}

// try repeats ask until it is nil or the time is over.
func try(ctx context.Context, limit time.Duration, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		err := ask(ctx)
		if err == nil {
			return nil
		}
		t := time.NewTimer(200 * time.Millisecond)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return err
		}
	}
}
