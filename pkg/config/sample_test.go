package config_test

import (
	"log/slog"
	"net/netip"
	"time"

	"longlink/pkg/config"
)

// sample has every kind of key that the package knows.
type sample struct {
	Room  room     `yaml:"room" doc:"The room: it holds the connections of devices."`
	Saver saver    `yaml:"saver"`
	Log   logs     `yaml:"log" doc:"What is written to standard error."`
	Empty struct{} `yaml:"center"`
	notes string
}

type room struct {
	Port           int               `yaml:"port" doc:"The first port of several." min:"0" max:"65535"`
	MaxConnections uint32            `yaml:"max_connections" doc:"More are refused with SERVER_FULL." min:"1" live:"true"`
	Heartbeat      config.Duration   `yaml:"heartbeat" doc:"How long a silent device is kept.\nPhones on cellular networks need the most." min:"1s" max:"1h" live:"true"`
	Frame          config.Size       `yaml:"frame" min:"64B" max:"1MiB"`
	Share          float64           `yaml:"share" min:"0" max:"1"`
	TLS            bool              `yaml:"tls"`
	Networks       []string          `yaml:"networks" oneof:"wifi 5g 4g wired"`
	Labels         map[string]string `yaml:"labels"`
	Advertise      netip.Addr        `yaml:"advertise"`
	Hidden         chan int          `yaml:"-"`
}

type saver struct {
	Redis redis  `yaml:"redis" doc:"Where lanes live."`
	DSN   string `yaml:"dsn" secret:"true" doc:"The ledger."`
}

type redis struct {
	Addrs []string `yaml:"addrs" required:"true"`
	Low   int      `yaml:"low"`
	High  int      `yaml:"high"`
}

func (r redis) Validate() []config.FieldError {
	if r.Low > r.High {
		return []config.FieldError{{Key: "low", Message: "must not be above saver.redis.high"}}
	}
	return nil
}

// Validate has a pointer receiver: both forms are called.
func (s *sample) Validate() []config.FieldError {
	if s.Room.TLS && s.Saver.DSN == "" {
		return []config.FieldError{{Message: "tls needs a ledger"}, {Key: "room.tls", Message: "needs saver.dsn"}}
	}
	return nil
}

type logs struct {
	Level  slog.Level `yaml:"level"`
	Format string     `yaml:"format" oneof:"text json" doc:"Text for people, JSON for machines."`
	Port   string     `yaml:"syslog_port"`
}

func defaults() sample {
	return sample{
		Room: room{
			Port: 7001, MaxConnections: 100_000, Heartbeat: config.Duration(25 * time.Second), Frame: 64 << 10,
			Share: 0.5, Networks: []string{"wifi", "5g"}, Labels: map[string]string{"idc": "a"},
			Advertise: netip.MustParseAddr("127.0.0.1"),
		},
		Saver: saver{Redis: redis{Addrs: []string{"127.0.0.1:6379"}, High: 10}},
		Log:   logs{Format: "text"},
		notes: "unexported: no key",
	}
}
