package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"longlink/pkg/app"
	"longlink/pkg/cluster"
	"longlink/pkg/datadir"
)

// log is what many goroutines write.
type log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) { l.mu.Lock(); defer l.mu.Unlock(); return l.b.Write(p) }
func (l *log) String() string              { l.mu.Lock(); defer l.mu.Unlock(); return l.b.String() }

// gatewayFor runs the embedded gateway on free ports for the test and gives
// options that fit it.
func gatewayFor(t *testing.T) Options {
	t.Helper()
	dir, ports := datadir.Dir(t.TempDir()), app.Ports{Host: "127.0.0.1"}
	var out, logged log
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- app.Run(ctx, app.Options{Config: app.DefaultConfig(ports), Kinds: cluster.Kinds, Ports: ports, Embedded: true, Data: dir, Out: &out, Err: &logged})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the gateway's end: %v\n%s", err, logged.String())
		}
		if t.Failed() {
			t.Log(logged.String())
		}
	})
	for end := time.Now().Add(30 * time.Second); !strings.HasPrefix(out.String(), "ready "); {
		select {
		case err := <-done:
			done <- err
			t.Fatalf("ended before it was ready: %v\n%s", err, logged.String())
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(end) {
			t.Fatalf("not ready\n%s", logged.String())
		}
	}
	e, err := dir.Endpoints()
	if err != nil {
		t.Fatal(err)
	}
	key, err := dir.Key("operator")
	if err != nil {
		t.Fatal(err)
	}
	return Options{
		Child: []string{os.Args[0], asChild}, Center: e.Center, APIKey: key, Product: "demo", Log: &logged,
		Connections: 50, InFlight: 16, Workers: 2, Payload: 256, Concurrency: 8, Duration: 30 * time.Second,
	}
}

// checkBoth holds what must be true of both sides whatever the machine does.
func checkBoth(t *testing.T, r *Result, o *Options, each func(name string, f *Figures)) {
	t.Helper()
	if err := r.Err(); err != nil {
		t.Error(err)
	}
	if r.Floor == nil {
		t.Fatal("no floor")
	}
	for name, f := range map[string]*Figures{"gateway": r.Gateway, "floor": r.Floor} {
		if f.Connections != o.Connections || f.Login.Count != uint64(o.Connections) || f.Workers != o.Workers {
			t.Errorf("%s: %d connections, %d logins measured, %d workers", name, f.Connections, f.Login.Count, f.Workers)
		}
		if f.LoginsPerSecond <= 0 || f.Login.P50 <= 0 || f.Login.P50 > f.Login.P99 || f.Login.P99 > f.Login.Max {
			t.Errorf("%s: login figures %+v", name, f.Login)
		}
		sum := 0.0
		for _, p := range f.Processes {
			sum += p.CPUPerLogin
			if p.PID <= 0 || p.Resident[0] <= 0 {
				t.Errorf("%s: process %+v", name, p)
			}
		}
		if sum <= 0 || sum != f.CPUPerLogin {
			t.Errorf("%s: CPU per login %g, of the processes %g", name, f.CPUPerLogin, sum)
		}
		each(name, f)
	}
	if x := r.Ratios["cpu_us_per_login"]; x != r.Gateway.CPUPerLogin/r.Floor.CPUPerLogin {
		t.Errorf("ratio %g", x)
	}
	var page bytes.Buffer
	if err := r.Print(&page); err != nil {
		t.Error(err)
	}
	for _, word := range []string{"connections", "CPU µs per login", "p99.9", "resident B per connection", "ratio"} {
		if !strings.Contains(page.String(), word) {
			t.Errorf("%q is not printed:\n%s", word, page.String())
		}
	}
	if b, err := json.Marshal(r); err != nil || !bytes.Contains(b, []byte(`"logins_per_second"`)) {
		t.Errorf("JSON: %v %s", err, b)
	}
	t.Log("\n" + page.String())
}

func TestConnect(t *testing.T) {
	o := gatewayFor(t)
	o.Floor, o.Hold, o.LoginRate = true, 1500*time.Millisecond, 50
	r, err := Connect(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	checkBoth(t, r, &o, func(name string, f *Figures) {
		if f.Messages != nil {
			t.Errorf("%s: messages without a load", name)
		}
		// The last of 50 logins at 50/s is due after about a second.
		if f.LoginsPerSecond > 100 {
			t.Errorf("%s: %g logins/s, more than asked for", name, f.LoginsPerSecond)
		}
	})
}

func TestUnicast(t *testing.T) {
	o := gatewayFor(t)
	o.Floor, o.Messages = true, 200
	for _, rate := range []float64{0, 400} {
		o.Rate = rate
		r, err := Unicast(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		checkBoth(t, r, &o, func(name string, f *Figures) {
			if f.Accepted != 200 || f.Delivered != 200 || f.Delivery.Count != 200 || f.Lost+f.Duplicated+f.Foreign+f.Pending != 0 {
				t.Errorf("%s at %g/s: %+v", name, rate, *f.Messages)
			}
			if f.Acks == 0 || f.Acks > 200+f.Redelivered {
				t.Errorf("%s: %d ack frames", name, f.Acks)
			}
			if f.CPUPerMessage <= 0 || f.WorkerCPU <= 0 || f.PerSecond <= 0 {
				t.Errorf("%s: %g CPU, %g workers' CPU, %g messages/s", name, f.CPUPerMessage, f.WorkerCPU, f.PerSecond)
			}
		})
		if g := r.Gateway; g.Answer.Count != 200 || total(g.States) != 200 || total(g.Rejected) != 0 || (g.Late.Count == 200) != (rate > 0) {
			t.Errorf("at %g/s: answers %d, states %v, rejected %v, late %d", rate, g.Answer.Count, g.States, g.Rejected, g.Late.Count)
		}
	}
}
