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
	Rate           RateConfig      `yaml:"rate" doc:"Questions per address. The defaults are generous: behind one address of a mobile carrier's NAT are thousands of devices, which all come back after an outage."`
	TrustedProxies []string        `yaml:"trusted_proxies" doc:"Networks of load balancers whose X-Forwarded-For is believed, such as [\"10.0.0.0/8\"]. Without it everybody behind one shares its limit."`
	Full           FullConfig      `yaml:"full" doc:"Full rooms are not given out; their load figures come from keeper."`
	Heartbeat      HeartbeatConfig `yaml:"heartbeat" doc:"What is suggested to devices; a room's own heartbeat section decides."`
	Backoff        BackoffConfig   `yaml:"backoff" doc:"How devices wait between attempts."`
}

// RateConfig limits the questions of one IPv4 address or IPv6 /64.
type RateConfig struct {
	PerSecond float64  `yaml:"per_second" doc:"Questions a second in the long run; more are told RATE_LIMITED. 0: no limit" min:"0" max:"1000000"`
	Burst     int      `yaml:"burst" doc:"Questions at once after a silence" min:"1" max:"10000000"`
	Addresses int      `yaml:"addresses" doc:"Addresses remembered; the one that has been silent for longest is forgotten for a new one" min:"1" max:"10000000"`
	Exempt    []string `yaml:"exempt" doc:"Networks without this limit, such as monitoring and load generators"`
}

// FullConfig says when a room is full.
type FullConfig struct {
	Interval config.Duration `yaml:"interval" doc:"How often keeper is asked; 0s: never, and no room counts as full" min:"0s" max:"5m"`
	Percent  int             `yaml:"percent" doc:"Share of its capacity from which on a room is full, until it is 5 below" min:"10" max:"100"`
}

// Validate implements config.Validator.
func (c Config) Validate() (wrong []config.FieldError) {
	for key, list := range map[string][]string{"trusted_proxies": c.TrustedProxies, "rate.exempt": c.Rate.Exempt} {
		if _, err := parsePrefixes(list); err != nil {
			wrong = append(wrong, config.FieldError{Key: key, Message: err.Error()})
		}
	}
	return wrong
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
		Rate: RateConfig{
			PerSecond: 100,
			Burst:     5000,
			Addresses: 100_000,
			Exempt:    []string{"127.0.0.0/8", "::1/128"},
		},
		TrustedProxies: []string{},
		Full:           FullConfig{Interval: config.Duration(5 * time.Second), Percent: 95},
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
