package dispatcher

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"longlink/pkg/code"
)

// Answer is the body of a 200.
type Answer struct {
	Rooms     []Room    `json:"rooms"`
	TTL       int64     `json:"ttl_s"`
	Heartbeat Heartbeat `json:"heartbeat"`
	Backoff   Backoff   `json:"backoff"`
}

// Room is one address of the group.
type Room struct {
	Addr      string `json:"addr"`
	IDC       string `json:"idc"`
	Transport string `json:"transport"`
}

// Heartbeat bounds the interval that the device may ask the room for.
type Heartbeat struct {
	Min       int64 `json:"min_s"`
	Max       int64 `json:"max_s"`
	Suggested int64 `json:"suggested_s"`
}

// Backoff is how to wait between attempts.
type Backoff struct {
	Base   int64   `json:"base_ms"`
	Max    int64   `json:"max_ms"`
	Jitter float64 `json:"jitter"`
}

// errorBody is the API's error form.
type errorBody struct {
	Error errorObject `json:"error"`
}

type errorObject struct {
	Code         string `json:"code"`
	Message      string `json:"message"`
	Field        string `json:"field,omitempty"`
	RetryAfterMS uint32 `json:"retry_after_ms,omitempty"`
}

func (s *Service) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/rooms", s.rooms)
	mux.HandleFunc("/v1/rooms", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Allow", "GET, HEAD")
		s.refuse(w, http.StatusMethodNotAllowed, code.Invalid("method", "%s is not allowed here: use GET", strconv.Quote(r.Method)))
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		s.fail(w, code.Errorf(code.NotFound, "a dispatcher answers only GET /v1/rooms"))
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if wait, ok := s.rates.allow(s.trusted.client(r), time.Now()); !ok {
			s.fail(w, code.Errorf(code.RateLimited, "too many questions from this address: try again later").WithRetry(wait+comeBack()))
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// comeBack spreads devices that are sent away, or all would be back in the same
// second.
func comeBack() time.Duration { return time.Second + rand.N(2*time.Second) }

func (s *Service) rooms(w http.ResponseWriter, r *http.Request) {
	q, err := parseQuery(r.URL.RawQuery)
	if err != nil {
		s.fail(w, err)
		return
	}
	group := s.current().group(q.device, q.failed, s.cfg.Group)
	if len(group) == 0 {
		s.fail(w, code.Errorf(code.Unavailable, "no room is ready: try again later").WithRetry(comeBack()))
		return
	}
	a := Answer{TTL: int64(s.cfg.TTL.Std() / time.Second), Heartbeat: s.cfg.Heartbeat.of(q.network), Backoff: s.cfg.Backoff.answer()}
	for _, x := range group {
		a.Rooms = append(a.Rooms, Room{x.addr, x.idc, transportTCP})
	}
	s.write(w, http.StatusOK, code.OK, a)
}

// of is the heartbeat on a network; an unknown one counts as cellular, whose
// mappings are the shortest-lived.
func (h HeartbeatConfig) of(network string) Heartbeat {
	usual, longest := h.Cellular.Std(), h.Cellular.Std()
	if network == "wifi" || network == "wired" {
		usual, longest = h.Wifi.Std(), max(h.Wifi, h.WifiMax).Std()
	}
	return Heartbeat{Min: int64(min(h.Min.Std(), longest) / time.Second), Max: int64(longest / time.Second), Suggested: int64(usual / time.Second)}
}

func (b BackoffConfig) answer() Backoff {
	return Backoff{Base: b.Base.Std().Milliseconds(), Max: b.Max.Std().Milliseconds(), Jitter: b.Jitter}
}

func (s *Service) fail(w http.ResponseWriter, e *code.Error) { s.refuse(w, e.Code.HTTP(), e) }

func (s *Service) refuse(w http.ResponseWriter, status int, e *code.Error) {
	ms := e.RetryMS()
	if ms > 0 {
		w.Header().Set("Retry-After", strconv.FormatUint((uint64(ms)+999)/1000, 10))
	}
	s.write(w, status, e.Code, errorBody{errorObject{e.Code.String(), e.Message, e.Field, ms}})
}

func (s *Service) write(w http.ResponseWriter, status int, c code.Code, body any) {
	s.metrics.requests.WithLabelValues(c.String()).Inc()
	b, err := json.Marshal(body)
	if err != nil { // plain structs cannot fail
		s.log.Error("an answer cannot be written as JSON", "err", err)
		status = http.StatusInternalServerError
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store") // the answer is the asking device's own
	w.WriteHeader(status)
	if _, err := w.Write(append(b, '\n')); err != nil {
		s.log.Debug("the asking device is gone", "err", err)
	}
}
