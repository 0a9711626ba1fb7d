package dispatcher

import (
	"time"

	"longlink/pkg/config"
)

// Config of the dispatcher section.
type Config struct {
	Listen         string          `yaml:"listen" doc:"HTTP address for devices"`
	MaxConnections int             `yaml:"max_connections" doc:"HTTP connections at once; more are closed at once" min:"1" max:"1000000"`
	Group          int             `yaml:"group" doc:"Addresses in an answer" min:"1" max:"8"`
	TTL            config.Duration `yaml:"ttl" doc:"How long a device may use a group without asking again" min:"1s" max:"24h"`
	Heartbeat      HeartbeatConfig `yaml:"heartbeat" doc:"What is suggested to devices; a room's own heartbeat section decides."`
	Backoff        BackoffConfig   `yaml:"backoff" doc:"How devices wait between attempts."`
}

// HeartbeatConfig is what devices are told before they reach a room.
type HeartbeatConfig struct {
	Min      config.Duration `yaml:"min" doc:"Shortest interval, for urgent products" min:"1s" max:"1h"`
	Cellular config.Duration `yaml:"cellular" doc:"Interval on 2g to 5g, and the longest there" min:"1s" max:"1h"`
	Wifi     config.Duration `yaml:"wifi" doc:"Interval on wifi and wired" min:"1s" max:"1h"`
	WifiMax  config.Duration `yaml:"wifi_max" doc:"Longest interval on wifi and wired" min:"1s" max:"1h"`
}

// BackoffConfig is the exponential back-off that devices keep to.
type BackoffConfig struct {
	Base   config.Duration `yaml:"base" doc:"First wait" min:"1ms" max:"10m"`
	Max    config.Duration `yaml:"max" doc:"Longest wait" min:"1ms" max:"1h"`
	Jitter float64         `yaml:"jitter" doc:"Random part of every wait, 0 to 1" min:"0" max:"1"`
}

// DefaultConfig is what the annotated config.yaml shows. The heartbeat is that
// of 360's talk: cellular networks keep a mapping for 300 s, wifi 300-480 s.
func DefaultConfig() Config {
	return Config{
		Listen:         "127.0.0.1:7100",
		MaxConnections: 10_000,
		Group:          3,
		TTL:            config.Duration(10 * time.Minute),
		Heartbeat: HeartbeatConfig{
			Min:      config.Duration(60 * time.Second),
			Cellular: config.Duration(300 * time.Second),
			Wifi:     config.Duration(300 * time.Second),
			WifiMax:  config.Duration(480 * time.Second),
		},
		Backoff: BackoffConfig{
			Base:   config.Duration(time.Second),
			Max:    config.Duration(2 * time.Minute),
			Jitter: 0.5,
		},
	}
}
