package bench

import (
	"fmt"
	"time"
)

// Result is what --json writes. Times are in microseconds, sizes in bytes.
type Result struct {
	Bench   string             `json:"bench"` // connect, unicast
	Started string             `json:"started"`
	Version string             `json:"version"`
	Go      string             `json:"go"`
	CPUs    int                `json:"cpus"`
	Options map[string]any     `json:"options"`
	Gateway *Figures           `json:"gateway"`
	Floor   *Figures           `json:"floor,omitempty"`
	Ratios  map[string]float64 `json:"ratios,omitempty"` // gateway / floor
}

// Figures of one side.
type Figures struct {
	Workers         int            `json:"workers"`
	Connections     int            `json:"connections"` // logged in
	Refused         map[string]int `json:"refused"`     // by reason
	Broken          map[string]int `json:"broken"`      // ended after the login, by reason
	Rebinds         int            `json:"rebinds"`
	Heartbeats      int            `json:"heartbeats"`
	LoginsPerSecond float64        `json:"logins_per_second"`
	Login           Latency        `json:"login"`
	CPUPerLogin     float64        `json:"cpu_us_per_login"`  // all processes
	IdleCPU         float64        `json:"idle_cpu_us_per_s"` // all processes, all connections
	ResidentIdle    float64        `json:"resident_idle"`     // bytes per connection, all processes
	Processes       []Process      `json:"processes"`

	*Messages // of unicast
}

// Messages are the figures of a load.
type Messages struct {
	Accepted      int            `json:"accepted"` // taken by the server
	Rejected      map[string]int `json:"rejected"` // by code
	States        map[string]int `json:"states"`   // what the API answered
	Skipped       int            `json:"skipped"`  // with a rate: calls that fell too far behind to be made
	Delivered     int            `json:"delivered"`
	Lost          int            `json:"lost"`       // accepted, not delivered
	Duplicated    int            `json:"duplicated"` // consumed twice
	Redelivered   int            `json:"redelivered"`
	Foreign       int            `json:"foreign"`
	Acks          int            `json:"acks"` // frames
	Pending       int            `json:"pending"`
	PerSecond     float64        `json:"messages_per_second"`
	Delivery      Latency        `json:"delivery"` // API call → device
	Answer        Latency        `json:"answer"`   // API call → its answer
	Late          Latency        `json:"late"`     // with a rate: how late calls began
	CPUPerMessage float64        `json:"cpu_us_per_message"`
	WorkerCPU     float64        `json:"worker_cpu_us_per_message"`
	ResidentLoad  float64        `json:"resident_after_load"`
}

// Process is one server process.
type Process struct {
	Name          string  `json:"name"`
	PID           int     `json:"pid"`
	CPUPerLogin   float64 `json:"cpu_us_per_login"`
	IdleCPU       float64 `json:"idle_cpu_us_per_s"`
	CPUPerMessage float64 `json:"cpu_us_per_message,omitempty"`
	Resident      []int64 `json:"resident"` // before the logins, after idling, after the load
}

// Latency is a distribution in microseconds; quantiles are off by 0.4 % at most.
type Latency struct {
	Count uint64  `json:"count"`
	Mean  float64 `json:"mean"`
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P99   float64 `json:"p99"`
	P999  float64 `json:"p999"`
	Max   float64 `json:"max"`
}

func latencyOf(h *Histogram) Latency {
	return Latency{h.Count(), micros(h.Mean()), micros(h.Quantile(0.5)), micros(h.Quantile(0.9)), micros(h.Quantile(0.99)), micros(h.Quantile(0.999)), micros(h.Max())}
}

func micros(d time.Duration) float64 { return float64(d) / 1e3 }

// per divides, and gives 0 where there is nothing to divide by.
func per(v float64, n float64) float64 {
	if n == 0 {
		return 0
	}
	return v / n
}

func (f *Figures) logins(c *fleetCount, l lap) {
	f.Connections, f.Rebinds, f.Login = c.LoggedIn, c.Rebinds, latencyOf(&c.Login)
	f.LoginsPerSecond = per(float64(c.LoggedIn), time.Duration(c.LastLogin-c.FirstDial).Seconds())
	for i, p := range l.procs {
		cpu := per(micros(l.cpu[i]), float64(c.LoggedIn))
		f.CPUPerLogin += cpu
		f.Processes = append(f.Processes, Process{Name: p.name, PID: p.pid, CPUPerLogin: cpu, Resident: []int64{l.first[i]}})
	}
}

func (f *Figures) idle(l lap) {
	for i := range l.procs {
		p := &f.Processes[i]
		p.IdleCPU = per(micros(l.cpu[i]), l.took.Seconds())
		p.Resident = append(p.Resident, l.resident[i])
		f.IdleCPU += p.IdleCPU
	}
	f.ResidentIdle = f.resident(1)
}

// resident is what all processes have gained per connection since before the
// logins.
func (f *Figures) resident(at int) (sum float64) {
	for _, p := range f.Processes {
		sum += float64(p.Resident[at] - p.Resident[0])
	}
	return per(sum, float64(f.Connections))
}

func (f *Figures) messages(c *fleetCount, out *sent, seen numbers, twice int, l lap, workers time.Duration) {
	n := float64(c.Delivered)
	f.Messages = &Messages{
		Accepted: out.accepted.count(), Skipped: out.skipped, Rejected: out.rejected, States: out.states,
		Delivered: seen.count(), Lost: out.accepted.missing(seen), Duplicated: c.Duplicated + twice,
		Redelivered: c.Redelivered, Foreign: c.Foreign, Acks: c.Acks,
		PerSecond: per(n, time.Duration(c.LastDelivery-c.FirstDelivery).Seconds()),
		Delivery:  latencyOf(&c.Latency), Answer: latencyOf(&out.answer), Late: latencyOf(&out.late),
		WorkerCPU: per(micros(workers), n),
	}
	for i := range l.procs {
		p := &f.Processes[i]
		p.CPUPerMessage = per(micros(l.cpu[i]), n)
		p.Resident = append(p.Resident, l.resident[i])
		f.CPUPerMessage += p.CPUPerMessage
	}
	f.ResidentLoad = f.resident(2)
}

// ends is what became of the connections until the end.
func (f *Figures) ends(c *fleetCount) {
	f.Refused, f.Broken, f.Heartbeats = c.Refused, c.Broken, c.Pings
}

// Err is what makes the run a failure: connections or messages that are gone.
func (r *Result) Err() error {
	for _, s := range []struct {
		name string
		f    *Figures
	}{{"gateway", r.Gateway}, {"floor", r.Floor}} {
		switch f := s.f; {
		case f == nil:
		case total(f.Refused) > 0 || total(f.Broken) > 0:
			return fmt.Errorf("%s: %d logins were refused (%s), %d connections broke (%s)", s.name, total(f.Refused), list(f.Refused), total(f.Broken), list(f.Broken))
		case f.Messages == nil:
		case f.Lost > 0 || f.Duplicated > 0:
			return fmt.Errorf("%s: %d messages lost, %d duplicated", s.name, f.Lost, f.Duplicated)
		case f.Skipped > 0:
			return fmt.Errorf("%s: %d calls were due and not made in time; lower --rate or raise --concurrency", s.name, f.Skipped)
		case f.Pending > 0:
			return fmt.Errorf("%s: %d messages are delivered and still not acknowledged at the server", s.name, f.Pending)
		}
	}
	return nil
}

// ratios are gateway / floor, where both have a figure.
func ratios(g, f *Figures) map[string]float64 {
	r := map[string]float64{}
	put := func(name string, a, b float64) {
		if a > 0 && b > 0 {
			r[name] = a / b
		}
	}
	put("cpu_us_per_login", g.CPUPerLogin, f.CPUPerLogin)
	put("logins_per_second", g.LoginsPerSecond, f.LoginsPerSecond)
	put("login_p50", g.Login.P50, f.Login.P50)
	put("login_p99", g.Login.P99, f.Login.P99)
	put("resident_idle", g.ResidentIdle, f.ResidentIdle)
	if g.Messages != nil && f.Messages != nil {
		put("cpu_us_per_message", g.CPUPerMessage, f.CPUPerMessage)
		put("messages_per_second", g.PerSecond, f.PerSecond)
		put("delivery_p50", g.Delivery.P50, f.Delivery.P50)
		put("delivery_p99", g.Delivery.P99, f.Delivery.P99)
		put("resident_after_load", g.ResidentLoad, f.ResidentLoad)
	}
	return r
}

// settings are the options that matter to who reads the figures.
func settings(o *Options, unicast bool) map[string]any {
	m := map[string]any{"connections": o.Connections, "login_rate": o.LoginRate, "in_flight": o.InFlight, "hold_s": max(o.Hold, minHold).Seconds()}
	if unicast {
		m["rate"], m["concurrency"], m["messages"], m["duration_s"], m["payload"] = o.Rate, o.Concurrency, o.Messages, o.Duration.Seconds(), o.Payload
	}
	return m
}
