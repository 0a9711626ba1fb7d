package coordinator

import (
	"time"

	"longlink/pkg/config"
)

// Config of the coordinator section.
type Config struct {
	CallTimeout config.Duration `yaml:"call_timeout" doc:"For the registers' answers to a kick" min:"100ms" max:"1m"`
}

// DefaultConfig is what the annotated config.yaml shows.
func DefaultConfig() Config {
	return Config{CallTimeout: config.Duration(4 * time.Second)}
}
