package center

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"

	"google.golang.org/grpc"

	"longlink/pkg/code"
	"longlink/pkg/lifecycle"
	"longlink/pkg/rpc"
	"longlink/pkg/wire"
)

// door lets requests in, over REST and over gRPC, which share the port, the
// keys and the limits. For REST it finds the route and writes the answer.
type door struct {
	s     *server
	keys  *keyring
	rates *keyRates
	slots chan struct{} // requests at once
	rest  http.Handler
	grpc  *grpc.Server
	guard *lifecycle.Group // of panics only

	failures *failures

	mu     sync.Mutex
	closed bool
	calls  sync.WaitGroup // grows under mu while not closed
}

func newDoor(s *server) *door {
	d := &door{s: s, keys: newKeyring(s.deps.Directory), rates: newKeyRates(s.cfg.KeyRate), slots: make(chan struct{}, s.cfg.MaxRequests), failures: newFailures(s.log),
		guard: lifecycle.NewGroup(context.Background(), s.log, s.deps.Life)}
	mux := http.NewServeMux()
	for path, m := range d.s.routes() {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) { d.serve(w, r, m) })
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { d.serve(w, r, nil) })
	mux.HandleFunc("GET /openapi.yaml", d.serveOpenAPI)
	d.rest, d.grpc = mux, newGRPC(d)
	return d
}

// ServeHTTP implements http.Handler.
func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if isGRPC(r) {
		d.serveGRPC(w, r)
		return
	}
	d.rest.ServeHTTP(w, r)
}

// begin counts a call in; end must follow. False: the door is closed.
func (d *door) begin() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.closed {
		d.calls.Add(1)
	}
	return !d.closed
}

func (d *door) end() { d.calls.Done() }

// drain returns when no request is worked on; later ones are refused.
func (d *door) drain() {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.calls.Wait()
	d.grpc.Stop()
}

// admission is a request that was let in.
type admission struct {
	who     principal
	release func() // gives back the place of max_requests, once
	leave   func() // ends the request; must follow
}

// admit lets a request in whose key is valid.
func (d *door) admit(r *http.Request, now time.Time) (*admission, *code.Error) {
	if !d.begin() {
		return nil, errStopping()
	}
	select {
	case d.slots <- struct{}{}:
	default:
		d.end()
		return nil, code.Errorf(code.RateLimited, "this center works on %d requests, as many as it takes", cap(d.slots))
	}
	a := &admission{release: sync.OnceFunc(func() { <-d.slots })}
	a.leave = func() { a.release(); d.end() }
	var err *code.Error
	if a.who, err = d.keys.identify(r.Header.Get("Authorization"), now); err == nil {
		err = d.rates.take(a.who, now)
	}
	if err != nil {
		a.leave()
		return nil, err
	}
	return a, nil
}

// identify gives the request the id that it came with, or a new one, and tells
// it in the answer.
func (d *door) identify(w http.ResponseWriter, r *http.Request) context.Context {
	id := r.Header.Get("X-Request-Id")
	if !wire.ValidName(id) {
		id = rpc.NewRequestID()
	}
	w.Header().Set("X-Request-Id", id)
	return rpc.WithRequestID(r.Context(), id)
}

// serve answers one request of REST. Everything that went wrong leaves here,
// once.
func (d *door) serve(w http.ResponseWriter, r *http.Request, m methods) {
	c := visit{call: "none", began: time.Now()}
	ctx := d.identify(w, r)
	status, out := http.StatusOK, any(nil)
	var stream *eventStream // nil: a call that answers once
	err := d.guard.Guard("center.http", func() error {
		rt, pathID, cerr := route{}, "", errNoSuchCall(r)
		if m != nil {
			rt, pathID, cerr = m.find(r)
		}
		if cerr != nil {
			return cerr
		}
		c.call, status = rt.call, max(rt.status, http.StatusOK)
		a, cerr := d.admit(r, c.began)
		if cerr != nil {
			return cerr
		}
		defer a.leave()
		c.who = a.who
		query, cerr := queryOf(r, rt.query)
		if cerr != nil {
			return cerr
		}
		req := &request{id: pathID, path: r.PathValue, query: query, lastEvent: r.Header.Get("Last-Event-ID")}
		limit := d.s.cfg.bodyLimit(rt.batch)
		if rt.batch {
			size := r.ContentLength
			if size < 0 {
				size = limit
			}
			if cerr := d.s.takeBody(a.who, size, limit); cerr != nil {
				return cerr
			}
			defer d.s.budget.free(a.who.product, 0, size)
		}
		if req.body, cerr = readBody(w, r, limit); cerr != nil {
			return cerr
		}
		ctx := withPrincipal(ctx, a.who)
		var derr error
		if rt.stream != nil {
			ctx, end := d.stay(ctx, w, r, a)
			defer end()
			stream = newEventStream(w, stayOf(ctx).life)
			return rt.stream(ctx, req, stream)
		}
		out, derr = rt.do(ctx, req)
		return derr
	})
	e := d.failure(ctx, err)
	switch {
	case stream != nil && stream.begun: // it was answered
	case e != nil:
		writeError(w, e)
	default:
		writeJSON(w, status, out)
	}
	d.note(ctx, c, e, err)
}

// visit is what is noted of a call.
type visit struct {
	call  string // metric label
	began time.Time
	who   principal
}

// note counts and logs a call: e was answered, because of err. The call's own
// line is for debug; failures warns of what is the gateway's fault.
func (d *door) note(ctx context.Context, c visit, e *code.Error, err error) {
	name, now := code.OK.String(), time.Now()
	attrs := []any{"request_id", rpc.RequestID(ctx), "key", c.who.keyID, "took", now.Sub(c.began), "err", err}
	if c.who.product != "" {
		attrs = append(attrs, "product", c.who.product)
	}
	if e != nil {
		name = e.Code.String()
		if h := e.Code.HTTP(); h == 0 || h >= 500 {
			d.failures.note(now, failureKind{c.call, e.Code}, attrs...)
		}
	}
	d.s.metrics.requests.WithLabelValues(c.call, name).Inc()
	d.s.log.DebugContext(ctx, "api call", append(attrs, "call", c.call, "code", name)...)
}

// takeBody admits the body of a batch, which is large enough to be counted.
func (s *server) takeBody(who principal, size, limit int64) *code.Error {
	if size > limit {
		return errBodyTooLong(limit)
	}
	return s.budget.take(who.product, 0, size)
}

// failure is the error that is answered; text that is not meant for callers
// stays in the log.
func (d *door) failure(ctx context.Context, err error) *code.Error {
	var e *code.Error
	var panicked *lifecycle.PanicError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &e):
		return e
	case errors.As(err, &panicked):
		return code.Errorf(code.Internal, "a fault of the gateway; the request id finds it in the logs")
	case ctx.Err() != nil:
		return code.Errorf(code.Deadline, "the caller went away")
	}
	if e = rpc.FromStatus(err); e.Code == code.Internal {
		e.Message = "a fault of the gateway; the request id finds it in the logs"
	}
	return e
}

func writeError(w http.ResponseWriter, e *code.Error) {
	status := e.Code.HTTP()
	switch {
	case e.Field == "method":
		status = http.StatusMethodNotAllowed
	case status < 400: // a code that is not for the API
		status = http.StatusInternalServerError
	}
	if ms := e.RetryMS(); ms > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int((ms+999)/1000)))
	}
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	writeJSON(w, status, map[string]any{"error": errorOf(e)})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	if body == nil {
		w.WriteHeader(status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	_ = e.Encode(body) // a caller that went away
}
