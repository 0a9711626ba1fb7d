package center

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"longlink/pkg/code"
	"longlink/pkg/lifecycle"
	"longlink/pkg/rpc"
)

// door is REST: it lets requests in, finds their route, and writes answers.
type door struct {
	s     *server
	keys  *keyring
	slots chan struct{} // requests at once
}

func newDoor(s *server) *door {
	return &door{s: s, keys: newKeyring(s.deps.Directory), slots: make(chan struct{}, s.cfg.MaxRequests)}
}

func (d *door) handler() http.Handler {
	mux := http.NewServeMux()
	for path, m := range d.s.routes() {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) { d.serve(w, r, m) })
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { d.serve(w, r, nil) })
	return mux
}

// drain returns when no request is worked on; later ones are refused.
func (d *door) drain() {
	for range cap(d.slots) {
		d.slots <- struct{}{}
	}
}

// serve answers one request. Everything that went wrong leaves here, once.
func (d *door) serve(w http.ResponseWriter, r *http.Request, m methods) {
	began := time.Now()
	id := r.Header.Get("X-Request-Id")
	if !validID(id) {
		id = rpc.NewRequestID()
	}
	w.Header().Set("X-Request-Id", id)
	ctx := rpc.WithRequestID(r.Context(), id)

	call, status, out := "none", http.StatusOK, any(nil)
	var who principal
	err := lifecycle.NewGroup(ctx, d.s.log, d.s.deps.Life).Guard("center.http", func() error {
		rt, pathID, cerr := route{}, "", errNoSuchCall(r)
		if m != nil {
			rt, pathID, cerr = m.find(r)
		}
		if cerr != nil {
			return cerr
		}
		call, status = rt.call, rt.status
		select {
		case d.slots <- struct{}{}:
			defer func() { <-d.slots }()
		default:
			return code.Errorf(code.RateLimited, "this center works on %d requests, as many as it takes", cap(d.slots))
		}
		if who, cerr = d.keys.identify(r.Header.Get("Authorization"), began); cerr != nil {
			return cerr
		}
		query, qerr := url.ParseQuery(r.URL.RawQuery)
		if qerr != nil {
			return code.Errorf(code.Malformed, "the query in the URL cannot be read")
		}
		req := &request{id: pathID, query: query}
		if req.body, cerr = readBody(w, r, int64(d.s.cfg.MaxBody)); cerr != nil {
			return cerr
		}
		var derr error
		out, derr = rt.do(withPrincipal(ctx, who), req)
		return derr
	})
	e := d.failure(ctx, err)
	name := code.OK.String()
	if e != nil {
		name = e.Code.String()
		status = writeError(w, e)
	} else {
		writeJSON(w, status, out)
	}
	d.s.metrics.requests.WithLabelValues(call, name).Inc()
	level := slog.LevelDebug
	if status >= 500 {
		level = slog.LevelWarn
	}
	d.s.log.Log(ctx, level, "api call", "request_id", id, "call", call, "code", name, "product", who.product, "key", who.keyID, "took", time.Since(began), "err", err)
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

func writeError(w http.ResponseWriter, e *code.Error) (status int) {
	status = e.Code.HTTP()
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
	return status
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
