package bench

import (
	"io"
	"strings"
	"testing"
	"time"
)

func fine() Options {
	return Options{Center: "http://127.0.0.1:7200", Product: "demo", Log: io.Discard, Connections: 1, InFlight: 1, Concurrency: 1, Duration: time.Second, Payload: StampSize}
}

func TestOptionsAreBounded(t *testing.T) {
	o := fine()
	if err := o.Check(true); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*Options){
		"--connections":  func(o *Options) { o.Connections = maxConnections + 1 },
		"--in-flight":    func(o *Options) { o.InFlight = 0 },
		"--workers":      func(o *Options) { o.Workers = -1 },
		"--rate":         func(o *Options) { o.Rate = -1 },
		"--login-rate":   func(o *Options) { o.LoginRate = 2e6 },
		"--concurrency":  func(o *Options) { o.Concurrency = 0 },
		"--messages":     func(o *Options) { o.Messages = MaxMessages + 1 },
		"--duration":     func(o *Options) { o.Duration = 2 * maxTime },
		"--payload":      func(o *Options) { o.Payload = StampSize - 1 },
		"--product":      func(o *Options) { o.Product = "ü" },
		"take more than": func(o *Options) { o.Connections, o.LoginRate = 10000, 1 },
		"not a URL":      func(o *Options) { o.Center = "127.0.0.1:7200" },
		"no port":        func(o *Options) { o.Center = "http://127.0.0.1" },
		"not a loopback": func(o *Options) { o.Center = "http://192.0.2.1:7200" },
	} {
		o := fine()
		change(&o)
		if err := o.Check(true); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
}

func TestLoopback(t *testing.T) {
	for addr, ok := range map[string]bool{
		"127.0.0.1:1": true, "127.3.2.1:1": true, "[::1]:1": true, "localhost:1": true,
		"10.0.0.1:1": false, "example.org:1": false, "0.0.0.0:1": false, "127.0.0.1": false, "inproc/room/x": false,
	} {
		if _, err := loopback("x", addr); (err == nil) != ok {
			t.Errorf("%s: %v", addr, err)
		}
	}
}
