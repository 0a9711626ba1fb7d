package room

import (
	"strings"
	"testing"

	"longlink/pkg/config"
)

func TestDefaultsAreAnnotated(t *testing.T) {
	var all struct {
		Room Config `yaml:"room" doc:"Connections"`
	}
	all.Room = DefaultConfig()
	if _, err := config.Load(&all, config.Options{}); err != nil {
		t.Fatal(err)
	}
	out := string(config.Annotated(all))
	for _, want := range []string{"127.0.0.1:7001", "hello_timeout: 5s", "max_frame: 80KiB", "window_bytes: 256KiB", "  heartbeat:", "wifi_max: 8m"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}
