package register

import (
	"time"

	"longlink/pkg/config"
)

// Config of the register section.
type Config struct {
	MaxSessions  int             `yaml:"max_sessions" doc:"Sessions held at once, about 500 bytes each; further devices are told RATE_LIMITED" min:"1" max:"100000000"`
	WarmDeadline config.Duration `yaml:"warm_deadline" doc:"A gained slot that some room has not refilled by then counts as late instead of warming and no longer keeps the instance from being ready; what it does not find stays unknown" min:"10ms" max:"10m"`
	HideFor      config.Duration `yaml:"hide_for" doc:"Sessions of a room that left the view are kept so long, hidden, in case it returns" min:"10ms" max:"1h"`
	SweepEvery   config.Duration `yaml:"sweep_every" doc:"How often it is looked for sessions hidden too long" min:"10ms" max:"10m"`
	RefillWait   config.Duration `yaml:"refill_wait" doc:"How long a room's refill report waits for the own view to catch up" min:"10ms" max:"1m"`
	EvictQueue   int             `yaml:"evict_queue" doc:"Displaced sessions whose rooms are still to be told; more are dropped" min:"1" max:"1048576"`
	CallTimeout  config.Duration `yaml:"call_timeout" doc:"For a room's answer to a kick or an eviction" min:"100ms" max:"1m"`
}

// DefaultConfig is what the annotated config.yaml shows.
func DefaultConfig() Config {
	return Config{
		MaxSessions:  4_000_000,
		WarmDeadline: config.Duration(5 * time.Second),
		HideFor:      config.Duration(time.Minute),
		SweepEvery:   config.Duration(5 * time.Second),
		RefillWait:   config.Duration(2 * time.Second),
		EvictQueue:   8192,
		CallTimeout:  config.Duration(2 * time.Second),
	}
}
