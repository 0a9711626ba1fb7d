// Package ops is the operations door of a process: /livez, /readyz, /metrics
// and, when switched on, /debug/pprof.
package ops

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"longlink/pkg/httpstop"
	"longlink/pkg/lifecycle"
)

// Check is one line of /readyz: nil when the part can do its work. It must
// answer within the context's deadline.
type Check func(ctx context.Context) error

// Server is the operations door. Add checks before or while it runs.
type Server struct {
	addr     string
	pprof    bool
	gatherer prometheus.Gatherer
	log      *slog.Logger
	lis      net.Listener

	mu     sync.Mutex
	names  []string
	checks map[string]Check
}

// New makes a server for addr (host:port, port 0 takes a free one).
func New(addr string, withPprof bool, g prometheus.Gatherer, log *slog.Logger) *Server {
	return &Server{addr: addr, pprof: withPprof, gatherer: g, log: log, checks: map[string]Check{}}
}

// AddCheck adds a line to /readyz, in order of adding.
func (s *Server) AddCheck(name string, c Check) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, had := s.checks[name]; !had {
		s.names = append(s.names, name)
	}
	s.checks[name] = c
}

// Listen claims the address.
func (s *Server) Listen() (err error) {
	s.lis, err = net.Listen("tcp", s.addr)
	if err != nil {
		return fmt.Errorf("cluster.ops: cannot listen on %s: %w; stop what holds it or choose another --port-base", s.addr, err)
	}
	return nil
}

// Addr is the claimed address.
func (s *Server) Addr() string { return s.lis.Addr().String() }

// Run serves until ctx ends. Listen comes first.
func (s *Server) Run(ctx context.Context, ready func()) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", s.livez)
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.gatherer, promhttp.HandlerOpts{}))
	if s.pprof {
		mux.HandleFunc("/debug/pprof/", pprof.Index)
		mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
		mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	}
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug)}
	stopper := httpstop.New(srv)
	g := lifecycle.NewGroup(ctx, s.log, nil)
	g.Go("ops.http", func(context.Context) error {
		if err := srv.Serve(s.lis); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	g.Go("ops.stop", func(ctx context.Context) error {
		<-ctx.Done()
		// Probes and scrapes are short; a profile that runs is cut off.
		sctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 200*time.Millisecond)
		defer cancel()
		return stopper.Stop(sctx)
	})
	ready()
	return g.Wait()
}

// livez says that the process answers; it asks nobody else, so that an outage
// of a store never gets processes restarted.
func (s *Server) livez(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintln(w, "ok")
}

func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	s.mu.Lock()
	names := append([]string(nil), s.names...)
	checks := make([]Check, len(names))
	for i, n := range names {
		checks[i] = s.checks[n]
	}
	s.mu.Unlock()
	lines, failed := "", false
	for i, n := range names {
		if err := checks[i](ctx); err != nil {
			failed = true
			lines += fmt.Sprintf("[-] %s: %v\n", n, err)
		} else {
			lines += fmt.Sprintf("[+] %s ok\n", n)
		}
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	verdict := "ready"
	if failed {
		verdict = "not ready"
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	if failed || r.URL.Query().Has("verbose") {
		fmt.Fprint(w, lines)
	}
	fmt.Fprintln(w, verdict)
}
