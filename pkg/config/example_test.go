package config_test

import (
	"fmt"
	"time"

	"longlink/pkg/config"
)

func ExampleLoad() {
	type roomConfig struct {
		Heartbeat config.Duration `yaml:"heartbeat" doc:"How long a silent device is kept." min:"1s" live:"true"`
		MaxFrame  config.Size     `yaml:"max_frame" doc:"The largest frame." max:"1MiB"`
	}
	type all struct {
		Room roomConfig `yaml:"room"`
	}
	cfg := all{Room: roomConfig{Heartbeat: config.Duration(25 * time.Second), MaxFrame: 64 << 10}}

	_, err := config.Load(&cfg, config.Options{
		Name: "config.yaml",
		Data: []byte("room:\n  hartbeat: 30s\n  max_frame: 64KB\n"),
	})
	fmt.Println(err)

	result, err := config.Load(&cfg, config.Options{Env: []string{"LONGLINK_ROOM_HEARTBEAT=1m"}})
	fmt.Println(cfg.Room.Heartbeat, result.Explain()[0].Where, err)
	// Output:
	// config.yaml:2:3: room.hartbeat: unknown key; nearest is room.heartbeat
	// config.yaml:3:14: room.max_frame: "64KB": unknown unit; write KiB (units are binary: 1KiB is 1024B)
	// 1m LONGLINK_ROOM_HEARTBEAT <nil>
}
