package dispatcher

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.uber.org/goleak"

	"longlink/pkg/batch"
	"longlink/pkg/cluster"
	"longlink/pkg/rpc"
	"longlink/pkg/service"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a running dispatcher on a view of the test's own.
type world struct {
	*Service
	views  *cluster.Holder
	net    rpc.Network
	client *http.Client
	stop   func() error
}

func start(t *testing.T, change func(*Config), rooms ...cluster.Instance) *world {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Listen = "127.0.0.1:0"
	if change != nil {
		change(&cfg)
	}
	reg := prometheus.NewRegistry()
	views := cluster.NewHolder(rooms...)
	log := slog.New(slog.DiscardHandler)
	net := &rpc.InProcess{}
	s, err := New(cfg, service.Deps{Log: log, Registry: reg,
		Peers: rpc.NewPeers(net, views, rpc.Identity{}, log, batch.NewMetrics(reg), nil)})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done, ready := make(chan error, 1), make(chan struct{})
	go func() { done <- s.Run(ctx, func() { close(ready) }) }()
	<-ready
	tr := &http.Transport{}
	w := &world{Service: s, views: views, net: net, client: &http.Client{Transport: tr, Timeout: 10 * time.Second}}
	stopped := false
	w.stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		return <-done
	}
	t.Cleanup(func() {
		tr.CloseIdleConnections()
		if err := w.stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return w
}

func aRoom(n int, idc string, state cluster.State) cluster.Instance {
	return cluster.Instance{Kind: cluster.Room, ID: fmt.Sprintf("room-%d", n), State: state, IDC: idc,
		Addresses: []string{fmt.Sprintf("10.0.0.%d:7001", n), fmt.Sprintf("10.0.0.%d:7002", n)}}
}

func rooms(n int) (out []cluster.Instance) {
	for i := 1; i <= n; i++ {
		out = append(out, aRoom(i, "a", cluster.Ready))
	}
	return out
}

// ask sends a query and decodes the answer into out.
func (w *world) ask(t *testing.T, method, path string, out any) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+w.Addresses()[0]+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := w.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if ct := resp.Header.Get("Content-Type"); ct != "application/json" {
		t.Errorf("%s %s: Content-Type %q", method, path, ct)
	}
	if err := json.Unmarshal(body, out); err != nil {
		t.Fatalf("%s %s: %v in %s", method, path, err, body)
	}
	return resp
}

// group asks for a device's group.
func (w *world) group(t *testing.T, device string, failed ...string) (addrs []string) {
	t.Helper()
	q := url.Values{"device": {device}}
	for _, f := range failed {
		q.Add("failed", f)
	}
	var a Answer
	if resp := w.ask(t, http.MethodGet, "/v1/rooms?"+q.Encode(), &a); resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status)
	}
	for _, r := range a.Rooms {
		addrs = append(addrs, r.Addr)
	}
	return addrs
}

// count reads a counter.
func count(t *testing.T, c prometheus.Counter) float64 {
	t.Helper()
	var m dto.Metric
	if err := c.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetCounter().GetValue()
}
