package keeper

import (
	"time"

	"longlink/pkg/config"
)

// Config of the keeper section.
type Config struct {
	Endpoints      []string        `yaml:"endpoints" doc:"etcd's client addresses, host:port or http://host:port. Empty: the member that the keeper service embeds."`
	Username       string          `yaml:"username" doc:"etcd user; empty: no authentication"`
	Password       string          `yaml:"password" secret:"true" doc:"etcd password"`
	Listen         string          `yaml:"listen" doc:"client address of the embedded member"`
	PeerListen     string          `yaml:"peer_listen" doc:"peer address of the embedded member, not used by a single member"`
	ConnectTimeout config.Duration `yaml:"connect_timeout" doc:"how long a start waits for etcd" min:"100ms" max:"5m"`
	RequestTimeout config.Duration `yaml:"request_timeout" doc:"how long one read or write may take" min:"100ms" max:"1m"`
	LeaseTTL       config.Duration `yaml:"lease_ttl" doc:"how long a killed instance stays in the view; whole seconds, rounded up" min:"1s" max:"5m"`
	ProbeInterval  config.Duration `yaml:"probe_interval" doc:"how often contact with etcd is confirmed" min:"50ms" max:"1m"`
	ShrinkWindow   config.Duration `yaml:"shrink_window" doc:"when more than half of a kind of four or more vanish from the registry within this time, their last state is held" min:"1s" max:"10m"`
	ShrinkHold     config.Duration `yaml:"shrink_hold" doc:"how long, unless they come back before; whole seconds, rounded up. 0: never hold" min:"0s" max:"1h"`
	KeyOverlap     config.Duration `yaml:"key_overlap" live:"true" doc:"how long a product's old API keys work after a rotation" min:"0s" max:"720h"`
}

// DefaultConfig is what the annotated config.yaml shows.
func DefaultConfig() Config {
	return Config{
		Endpoints:      []string{},
		Listen:         "127.0.0.1:7790",
		PeerListen:     "127.0.0.1:7791",
		ConnectTimeout: config.Duration(10 * time.Second),
		RequestTimeout: config.Duration(3 * time.Second),
		LeaseTTL:       config.Duration(10 * time.Second),
		ProbeInterval:  config.Duration(2 * time.Second),
		ShrinkWindow:   config.Duration(30 * time.Second),
		ShrinkHold:     config.Duration(5 * time.Minute),
		KeyOverlap:     config.Duration(24 * time.Hour),
	}
}

// leaseSeconds is LeaseTTL in etcd's unit.
func (c Config) leaseSeconds() int64 { return seconds(c.LeaseTTL) }

func seconds(d config.Duration) int64 {
	return int64((d.Std() + time.Second - 1) / time.Second)
}
