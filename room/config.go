package room

import (
	"fmt"
	"net/netip"
	"time"

	"longlink/pkg/config"
	"longlink/pkg/wire"
)

// Config of the room section.
type Config struct {
	Listen         []string    `yaml:"listen" doc:"TCP addresses for devices, several ports so that a blocked one does not lock devices out.\nPort 0 takes a free one." required:"true"`
	MaxConnections int         `yaml:"max_connections" doc:"Connections held at once; more are sent to another address. 0: what the limit on open files leaves." min:"0" max:"10000000"`
	Loops          int         `yaml:"loops" doc:"Event loops; 0: one per processor" min:"0" max:"256"`
	LoopQueue      int         `yaml:"loop_queue" doc:"Tasks that may wait for one loop before deliveries are refused" min:"64" max:"1048576"`
	MaxHello       config.Size `yaml:"max_hello" doc:"Longest HELLO body: what a stranger can make the room buffer" min:"1KiB" max:"1MiB"`
	MaxFrame       config.Size `yaml:"max_frame" doc:"Longest body of any frame after login. Not below 80KiB: a largest push must fit." min:"80KiB" max:"1MiB"`

	Address AddressConfig `yaml:"address" doc:"Limits per IPv4 address or IPv6 /64, held before a connection costs anything; what is refused is told RATE_LIMITED with a hint.\nThe defaults are generous: behind one address of a mobile carrier's NAT are thousands of devices, which all come back after an outage."`

	HelloTimeout config.Duration `yaml:"hello_timeout" doc:"A new connection must have sent its HELLO by then" min:"10ms" max:"5m"`
	AuthWorkers  int             `yaml:"auth_workers" doc:"Goroutines that check tokens and grants" min:"1" max:"256"`
	AuthQueue    int             `yaml:"auth_queue" doc:"Logins waiting for them; more are told BUSY" min:"1" max:"1048576"`

	LaneWindow  int         `yaml:"lane_window" doc:"Unacknowledged messages in flight per device and product" min:"1" max:"1024"`
	WindowBytes config.Size `yaml:"window_bytes" doc:"Unacknowledged bytes in flight per device and product; one message always fits" min:"1KiB" max:"16MiB"`

	OutboundLimit config.Size     `yaml:"outbound_limit" doc:"Bytes that may wait in a connection's outbound buffer. Pushes wait from half of it." min:"16KiB" max:"64MiB"`
	SlowTimeout   config.Duration `yaml:"slow_timeout" doc:"A device that takes nothing from a half full outbound buffer for so long is closed" min:"10ms" max:"10m"`

	Upstream UpstreamConfig `yaml:"upstream" doc:"Upstream data on its way to the coordinators; more is told RATE_LIMITED, and the device sends it again."`

	Heartbeat HeartbeatConfig `yaml:"heartbeat" doc:"How often devices must be heard. Closed after 1.5 intervals and the grace."`

	CallTimeout    config.Duration `yaml:"call_timeout" doc:"For the answer of register, saver and coordinator" min:"100ms" max:"1m"`
	DeliverTimeout config.Duration `yaml:"deliver_timeout" doc:"Longest time a batch of deliveries waits for the loops" min:"10ms" max:"30s"`
	RetryMin       config.Duration `yaml:"retry_min" doc:"First wait before a failed register, load or ack is repeated; doubles" min:"10ms" max:"1m"`
	RetryMax       config.Duration `yaml:"retry_max" doc:"Longest such wait" min:"10ms" max:"10m"`

	ShutdownSpread config.Duration `yaml:"shutdown_spread" doc:"Devices of a stopping room come back over this time" min:"0s" max:"10m"`
}

// AddressConfig limits one address. A load balancer in front of the room is one
// address for all its devices: exempt it.
type AddressConfig struct {
	Connections     int      `yaml:"connections" doc:"Connections held at once. 0: no limit" min:"0" max:"10000000"`
	LoginsPerSecond float64  `yaml:"logins_per_second" doc:"Logins, that is new connections, a second in the long run. 0: no limit" min:"0" max:"1000000"`
	LoginBurst      int      `yaml:"login_burst" doc:"Logins at once after a silence" min:"1" max:"10000000"`
	Remembered      int      `yaml:"remembered" doc:"Addresses whose logins are counted; the one that has been silent for longest is forgotten for a new one" min:"1" max:"10000000"`
	Exempt          []string `yaml:"exempt" doc:"Networks without these limits, such as load balancers and load generators"`
}

// Validate implements config.Validator.
func (c AddressConfig) Validate() []config.FieldError {
	if _, err := c.exempt(); err != nil {
		return []config.FieldError{{Key: "exempt", Message: err.Error()}}
	}
	return nil
}

func (c AddressConfig) exempt() (out []netip.Prefix, _ error) {
	for _, s := range c.Exempt {
		p, err := netip.ParsePrefix(s)
		if a, aerr := netip.ParseAddr(s); aerr == nil {
			p, err = a.Prefix(a.BitLen())
		}
		if err != nil {
			return nil, fmt.Errorf("%q is no network: write it like 10.0.0.0/8 or 2001:db8::/32", s)
		}
		out = append(out, p.Masked())
	}
	return out, nil
}

// UpstreamConfig bounds upstream data: what is not answered yet, and what a
// device may send in the long run, since all of it is stored. Every UP counts for
// 512 bytes more than its ext and payload.
type UpstreamConfig struct {
	MaxBytes   config.Size `yaml:"max_bytes" doc:"Of one connection, beside the 64 UPs that the protocol allows" min:"80KiB" max:"16MiB"`
	TotalBytes config.Size `yaml:"total_bytes" doc:"Of the whole room" min:"1MiB" max:"16GiB"`
	PerSecond  config.Size `yaml:"bytes_per_second" doc:"Of one connection on average, after a burst of max_bytes" min:"1KiB" max:"1GiB"`
}

// HeartbeatConfig says how often devices must be heard.
type HeartbeatConfig struct {
	Min      config.Duration `yaml:"min" doc:"Shortest interval that a device gets when it wishes for one" min:"10ms" max:"1h"`
	Cellular config.Duration `yaml:"cellular" doc:"Interval on 2g to 5g, and the longest there" min:"10ms" max:"1h"`
	Wifi     config.Duration `yaml:"wifi" doc:"Interval on wifi and wired" min:"10ms" max:"1h"`
	WifiMax  config.Duration `yaml:"wifi_max" doc:"Longest interval that a device on wifi or wired may wish for" min:"10ms" max:"1h"`
	Grace    config.Duration `yaml:"grace" doc:"Added to one and a half intervals before a silent device is closed" min:"0s" max:"5m"`
}

// DefaultConfig is what the annotated config.yaml shows. The heartbeat is that
// of 360's talk: cellular networks keep a mapping for 300 s, wifi 300-480 s.
func DefaultConfig() Config {
	return Config{
		Listen:    []string{"127.0.0.1:7001", "127.0.0.1:7002"},
		LoopQueue: 65536,
		MaxHello:  wire.DefaultMaxHello,
		MaxFrame:  wire.DefaultMaxFrame,
		Address: AddressConfig{
			Connections:     50_000,
			LoginsPerSecond: 200,
			LoginBurst:      10_000,
			Remembered:      100_000,
			Exempt:          []string{"127.0.0.0/8", "::1/128"},
		},

		HelloTimeout: config.Duration(5 * time.Second),
		AuthWorkers:  2,
		AuthQueue:    4096,
		LaneWindow:   32,
		WindowBytes:  256 << 10,

		OutboundLimit: 1 << 20,
		SlowTimeout:   config.Duration(30 * time.Second),

		Upstream: UpstreamConfig{MaxBytes: 256 << 10, TotalBytes: 64 << 20, PerSecond: 64 << 10},

		Heartbeat: HeartbeatConfig{
			Min:      config.Duration(60 * time.Second),
			Cellular: config.Duration(300 * time.Second),
			Wifi:     config.Duration(300 * time.Second),
			WifiMax:  config.Duration(480 * time.Second),
			Grace:    config.Duration(10 * time.Second),
		},

		CallTimeout:    config.Duration(5 * time.Second),
		DeliverTimeout: config.Duration(time.Second),
		RetryMin:       config.Duration(time.Second),
		RetryMax:       config.Duration(30 * time.Second),
		ShutdownSpread: config.Duration(5 * time.Second),
	}
}
