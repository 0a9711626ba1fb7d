package center

import (
	"time"

	"longlink/pkg/config"
)

// Config of the center section.
type Config struct {
	Listen           string          `yaml:"listen" doc:"HTTP address of the API. Port 0 takes a free one." required:"true"`
	MaxRequests      int             `yaml:"max_requests" doc:"Requests worked on at once, waiting ones included; more are told RATE_LIMITED" min:"1" max:"1000000"`
	KeyRate          int             `yaml:"key_rate" doc:"Requests a second of one API key, and as many at once; more are told RATE_LIMITED. A batch is one request. 0: no limit" min:"0" max:"1000000"`
	MaxBody          config.Size     `yaml:"max_body" doc:"Longest request body. Not below 1MiB: a largest push must fit, however it is escaped." min:"1MiB" max:"64MiB"`
	MaxInFlight      int             `yaml:"max_in_flight" doc:"Device messages that are being stored, delivered or waited for; more are told RATE_LIMITED. Not below 1000: a largest push must fit." min:"1000" max:"10000000"`
	MaxInFlightBytes config.Size     `yaml:"max_in_flight_bytes" doc:"Bytes of the messages of those pushes, and of the bodies of batches" min:"1MiB" max:"64GiB"`
	AppendTimeout    config.Duration `yaml:"append_timeout" doc:"A message that is not stored by then is answered UNKNOWN" min:"100ms" max:"1m"`
	DeliverDeadline  config.Duration `yaml:"deliver_deadline" doc:"How long it is tried to hand a stored message to its device's room" min:"100ms" max:"1m"`
	SentWait         config.Duration `yaml:"sent_wait" doc:"How long an answer waits for a room to take the message after it was stored" min:"0s" max:"5s"`
	CallTimeout      config.Duration `yaml:"call_timeout" doc:"For other services' answers" min:"100ms" max:"1m"`
	MaxTokenTTL      config.Duration `yaml:"max_token_ttl" doc:"Longest life of a device token made by the API" min:"1m" max:"87600h"`
	StopGrace        config.Duration `yaml:"stop_grace" doc:"A stopping center ends requests and deliveries after that" min:"0s" max:"1m"`
	Events           EventsConfig    `yaml:"events" doc:"Following what comes from the devices."`
}

// EventsConfig of the calls that follow events.
type EventsConfig struct {
	Poll                config.Duration `yaml:"poll" doc:"How often a follower asks for what is new" min:"10ms" max:"5s"`
	MaxFollowers        int             `yaml:"max_followers" doc:"Calls that follow events at once, each with pages of up to 4 MiB; more are told RATE_LIMITED" min:"1" max:"10000"`
	MaxProductFollowers int             `yaml:"max_product_followers" doc:"Those of them with a key of one product" min:"1" max:"10000"`
}

// DefaultConfig is what the annotated config.yaml shows.
func DefaultConfig() Config {
	return Config{
		Listen:           "127.0.0.1:7200",
		MaxRequests:      10000,
		MaxBody:          1 << 20,
		MaxInFlight:      20000,
		MaxInFlightBytes: 256 << 20,
		AppendTimeout:    config.Duration(5 * time.Second),
		DeliverDeadline:  config.Duration(5 * time.Second),
		SentWait:         config.Duration(100 * time.Millisecond),
		CallTimeout:      config.Duration(4 * time.Second),
		MaxTokenTTL:      config.Duration(365 * 24 * time.Hour),
		StopGrace:        config.Duration(time.Second),
		Events:           EventsConfig{Poll: config.Duration(300 * time.Millisecond), MaxFollowers: 64, MaxProductFollowers: 8},
	}
}

// bodyLimit is the longest body of a call. The bodies of batches count in
// max_in_flight_bytes, so they are not longer than half of that.
func (c *Config) bodyLimit(batch bool) int64 {
	if batch {
		return min(maxBatchBody, int64(c.MaxInFlightBytes)/2)
	}
	return int64(c.MaxBody)
}
