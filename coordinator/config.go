package coordinator

import (
	"time"

	"longlink/pkg/config"
)

// Config of the coordinator section.
type Config struct {
	CallTimeout   config.Duration `yaml:"call_timeout" doc:"For the registers' answers to a kick and the savers' to upstream data" min:"100ms" max:"1m"`
	UpstreamBytes config.Size     `yaml:"upstream_bytes" doc:"Upstream data on its way to savers, 512 bytes an item included; more is told RATE_LIMITED, and HOLD when one product has half of it." min:"1MiB" max:"16GiB"`
}

// DefaultConfig is what the annotated config.yaml shows.
func DefaultConfig() Config {
	return Config{CallTimeout: config.Duration(4 * time.Second), UpstreamBytes: 64 << 20}
}
