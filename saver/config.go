package saver

import (
	"time"

	"github.com/go-sql-driver/mysql"

	"longlink/pkg/config"
)

// Config is the section "saver".
type Config struct {
	Redis    RedisConfig    `yaml:"redis" doc:"Redis holds the lanes."`
	Ledger   LedgerConfig   `yaml:"ledger" doc:"The ledger remembers every accepted message."`
	Lane     LaneConfig     `yaml:"lane" doc:"Limits of one lane: the messages of one product for one device."`
	Page     PageConfig     `yaml:"page" doc:"Limits of one page of a lane that a room loads."`
	Work     WorkConfig     `yaml:"work" doc:"Workers and queues."`
	Rebuild  RebuildConfig  `yaml:"rebuild" doc:"How slots are rebuilt from the ledger after a loss of Redis."`
	Sweep    SweepConfig    `yaml:"sweep" doc:"How messages that nobody acknowledged are delivered again to devices that stayed connected."`
	Upstream UpstreamConfig `yaml:"upstream" doc:"The log of data that devices send."`
}

// RedisConfig says where Redis is.
type RedisConfig struct {
	Mode             string          `yaml:"mode" oneof:"embedded single sentinel" doc:"embedded: inside this process, forgets everything at its end and is rebuilt from the ledger.\nsingle: the server at addr. sentinel: the master that the sentinels name."`
	Addr             string          `yaml:"addr" doc:"host:port of the server, with mode single."`
	Sentinels        []string        `yaml:"sentinels" doc:"host:port of the sentinels, with mode sentinel."`
	Master           string          `yaml:"master" doc:"The master's name at the sentinels."`
	Username         string          `yaml:"username" doc:"ACL user; empty: the default user."`
	Password         string          `yaml:"password" secret:"true" doc:"Password of the user."`
	SentinelPassword string          `yaml:"sentinel_password" secret:"true" doc:"Password of the sentinels."`
	DB               int             `yaml:"db" min:"0" max:"1024" doc:"Number of the database."`
	DialTimeout      config.Duration `yaml:"dial_timeout" min:"10ms" max:"1m" doc:"Time to connect."`
	Timeout          config.Duration `yaml:"timeout" min:"10ms" max:"1m" doc:"Time of one call; a connection that is slower is given up."`
}

// LedgerConfig says where the ledger is.
type LedgerConfig struct {
	Driver  string          `yaml:"driver" oneof:"embedded mysql" doc:"embedded: an SQLite file. mysql: MySQL 8 or MariaDB 10.11 with the DSN."`
	Path    string          `yaml:"path" doc:"The SQLite file; empty: ledger.db in the data directory."`
	DSN     string          `yaml:"dsn" secret:"true" doc:"user:password@tcp(host:3306)/longlink"`
	Timeout config.Duration `yaml:"timeout" min:"10ms" max:"1m" doc:"Time of one commit; after it the outcome is unknown."`
	Workers int             `yaml:"workers" min:"1" max:"16" doc:"Group commits at once on MySQL; SQLite has one."`
}

// LaneConfig bounds lanes.
type LaneConfig struct {
	MaxMessages int         `yaml:"max_messages" min:"1" max:"10000" doc:"A lane with as many messages refuses more: INBOX_FULL."`
	MaxBytes    config.Size `yaml:"max_bytes" min:"4KiB" max:"64MiB" doc:"A lane with as many bytes refuses more: INBOX_FULL."`
}

// PageConfig bounds pages.
type PageConfig struct {
	MaxMessages int         `yaml:"max_messages" min:"1" max:"10000" doc:"Messages in a page."`
	MaxBytes    config.Size `yaml:"max_bytes" min:"1KiB" max:"16MiB" doc:"Bytes in a page; one message comes even when it is larger."`
}

// WorkConfig sizes workers and queues.
type WorkConfig struct {
	Workers       int             `yaml:"workers" min:"1" max:"64" doc:"Workers for appends, for loads and for acks each; every one owns a Redis connection."`
	Queue         int             `yaml:"queue" min:"64" max:"1000000" doc:"Items that may wait for each of them; more are answered RATE_LIMITED."`
	Batch         int             `yaml:"batch" min:"1" max:"512" doc:"Items in one script call."`
	Waiters       int             `yaml:"waiters" min:"1" max:"1000000" doc:"Calls that may wait for an ack at once, three quarters of them of one product; more are answered RATE_LIMITED."`
	CursorFlush   config.Duration `yaml:"cursor_flush" min:"1ms" max:"1m" doc:"How long acks may stay out of the ledger."`
	CursorPending int             `yaml:"cursor_pending" min:"16" max:"10000000" doc:"Lanes whose acks may wait for the ledger; acks for more are answered RATE_LIMITED."`
	AliasPending  int             `yaml:"alias_pending" min:"16" max:"1000000" doc:"Aliases that tokens name and that may wait for the ledger; the oldest of more are left to their devices' next logins."`
	StartTimeout  config.Duration `yaml:"start_timeout" min:"100ms" max:"10m" doc:"How long the start waits for Redis and for the ledger."`
}

// RebuildConfig paces rebuilds.
type RebuildConfig struct {
	Workers int             `yaml:"workers" min:"1" max:"16" doc:"Rebuilds at once."`
	Pause   config.Duration `yaml:"pause" min:"0s" max:"10s" doc:"Rest after each 16 slots that nobody waits for."`
	Wait    config.Duration `yaml:"wait" min:"10ms" max:"1m" doc:"How long an item waits for its slot; then it is answered NOT_READY."`
}

// SweepConfig times the sweep and bounds it.
type SweepConfig struct {
	After    config.Duration `yaml:"after" min:"100ms" max:"1m" doc:"How long after its append a message that was not acknowledged is delivered again; while nobody answers, again after 1, 2, 4 and then every 8 times as long."`
	Lanes    int             `yaml:"lanes" min:"16" max:"10000000" doc:"Lanes with such messages, about 300 bytes each; appends to more are answered RATE_LIMITED."`
	MaxAge   config.Duration `yaml:"max_age" min:"1m" max:"720h" doc:"A message that nobody could be asked about for so long is left to its device's next message, bind or login."`
	Lookback config.Duration `yaml:"lookback" min:"1s" max:"1h" doc:"How much of the ledger is read when a saver ended: messages that were not acknowledged, up to so long before its last one."`
}

// UpstreamConfig says how long upstream data is kept. The ledger has days made
// for 33 days ahead.
type UpstreamConfig struct {
	Retention config.Duration `yaml:"retention" min:"1h" max:"720h" doc:"How long data of devices stays readable, and is known when a device sends it again."`
}

// DefaultConfig is the embedded gateway's.
func DefaultConfig() Config {
	return Config{
		Redis: RedisConfig{Mode: "embedded", Addr: "127.0.0.1:6379", Master: "longlink",
			DialTimeout: config.Duration(time.Second), Timeout: config.Duration(3 * time.Second)},
		Ledger: LedgerConfig{Driver: "embedded", Timeout: config.Duration(5 * time.Second), Workers: 2},
		Lane:   LaneConfig{MaxMessages: 1000, MaxBytes: 1 << 20},
		Page:   PageConfig{MaxMessages: 200, MaxBytes: 256 << 10},
		Work: WorkConfig{Workers: 4, Queue: 8192, Batch: 64, Waiters: 4096,
			CursorFlush: config.Duration(200 * time.Millisecond), CursorPending: 200000, AliasPending: 10000, StartTimeout: config.Duration(5 * time.Second)},
		Rebuild: RebuildConfig{Workers: 2, Pause: config.Duration(5 * time.Millisecond), Wait: config.Duration(3 * time.Second)},
		Sweep: SweepConfig{After: config.Duration(2 * time.Second), Lanes: 200000, MaxAge: config.Duration(time.Hour),
			Lookback: config.Duration(30 * time.Second)},
		Upstream: UpstreamConfig{Retention: config.Duration(72 * time.Hour)},
	}
}

// Validate checks what the tags cannot say.
func (c *Config) Validate() (bad []config.FieldError) {
	complain := func(key, message string) { bad = append(bad, config.FieldError{Key: key, Message: message}) }
	switch c.Redis.Mode {
	case "single":
		if c.Redis.Addr == "" {
			complain("redis.addr", "is empty; give host:port of the Redis server")
		}
	case "sentinel":
		if len(c.Redis.Sentinels) == 0 {
			complain("redis.sentinels", "is empty; give host:port of the sentinels, or another redis.mode")
		}
		if c.Redis.Master == "" {
			complain("redis.master", "is empty; give the name that the sentinels know the master by")
		}
	}
	if c.Ledger.Driver == "mysql" {
		if dsn, err := mysql.ParseDSN(c.Ledger.DSN); c.Ledger.DSN == "" || err != nil || dsn.DBName == "" {
			complain("ledger.dsn", "wants user:password@tcp(host:3306)/longlink") // never printed: it holds the password
		}
	}
	return bad
}
