package ops

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func TestProbes(t *testing.T) {
	reg := prometheus.NewRegistry()
	reg.MustRegister(prometheus.NewCounter(prometheus.CounterOpts{Name: "longlink_test_total", Help: "x"}))
	s := New("127.0.0.1:0", false, reg, slog.New(slog.DiscardHandler))
	var broken atomic.Bool
	s.AddCheck("redis", func(context.Context) error {
		if broken.Load() {
			return errors.New("away")
		}
		return nil
	})
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	up, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- s.Run(ctx, func() { close(up) }) }()
	<-up
	get := func(path string) (int, string) {
		res, err := http.Get("http://" + s.Addr() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body)
		return res.StatusCode, string(b)
	}
	for _, c := range []struct {
		path   string
		broken bool
		status int
		want   string
	}{
		{"/livez", true, 200, "ok"},
		{"/readyz", false, 200, "ready"},
		{"/readyz?verbose", false, 200, "[+] redis ok"},
		{"/readyz", true, 503, "[-] redis: away"},
		{"/metrics", false, 200, "longlink_test_total"},
		{"/debug/pprof/", false, 404, ""},
	} {
		broken.Store(c.broken)
		if status, body := get(c.path); status != c.status || !strings.Contains(body, c.want) {
			t.Errorf("%s broken=%v: %d %q", c.path, c.broken, status, body)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestTakenPortIsNamed(t *testing.T) {
	a := New("127.0.0.1:0", false, prometheus.NewRegistry(), slog.Default())
	if err := a.Listen(); err != nil {
		t.Fatal(err)
	}
	defer a.lis.Close()
	err := New(a.Addr(), false, prometheus.NewRegistry(), slog.Default()).Listen()
	if err == nil || !strings.Contains(err.Error(), "cluster.ops") {
		t.Errorf("got %v", err)
	}
}
