package bench

import (
	"fmt"
	"io"
	"slices"
	"strconv"
)

// Print writes the figures for a person: one line a figure, the floor and the
// ratio beside it when there was one.
func (r *Result) Print(w io.Writer) error {
	p := printer{w: w, r: r}
	p.print(r.Bench, "gateway", "floor", "ratio")
	p.row("connections", "", 0, func(f *Figures) float64 { return float64(f.Connections) })
	p.row("logins/s", "logins_per_second", 0, func(f *Figures) float64 { return f.LoginsPerSecond })
	p.latency("login", "login", func(f *Figures) *Latency { return &f.Login })
	p.row("CPU µs per login", "cpu_us_per_login", 1, func(f *Figures) float64 { return f.CPUPerLogin })
	p.row("CPU µs per s idle", "", 0, func(f *Figures) float64 { return f.IdleCPU })
	p.row("resident B per connection, idle", "resident_idle", 0, func(f *Figures) float64 { return f.ResidentIdle })
	if r.Gateway.Messages != nil {
		p.row("messages accepted", "", 0, func(f *Figures) float64 { return float64(f.Accepted) })
		p.row("rejected", "", 0, func(f *Figures) float64 { return float64(total(f.Rejected)) })
		p.row("delivered", "", 0, func(f *Figures) float64 { return float64(f.Delivered) })
		p.row("lost", "", 0, func(f *Figures) float64 { return float64(f.Lost) })
		p.row("duplicated", "", 0, func(f *Figures) float64 { return float64(f.Duplicated) })
		p.row("redelivered, dropped by the cursor", "", 0, func(f *Figures) float64 { return float64(f.Redelivered) })
		p.row("ack frames", "", 0, func(f *Figures) float64 { return float64(f.Acks) })
		p.row("not acknowledged at the server", "", 0, func(f *Figures) float64 { return float64(f.Pending) })
		p.row("messages/s", "messages_per_second", 0, func(f *Figures) float64 { return f.PerSecond })
		p.latency("delivery", "delivery", func(f *Figures) *Latency { return &f.Delivery })
		p.row("CPU µs per message", "cpu_us_per_message", 1, func(f *Figures) float64 { return f.CPUPerMessage })
		p.row("workers' CPU µs per message", "", 1, func(f *Figures) float64 { return f.WorkerCPU })
		p.row("resident B per connection, after load", "resident_after_load", 0, func(f *Figures) float64 { return f.ResidentLoad })
	}
	return r.printProcesses(w)
}

// printProcesses says what each server process used, and what has no floor.
func (r *Result) printProcesses(w io.Writer) error {
	for _, p := range r.Gateway.Processes {
		fmt.Fprintf(w, "process %s (%d): %.1f CPU µs per login, %.0f per s idle", p.Name, p.PID, p.CPUPerLogin, p.IdleCPU)
		if r.Gateway.Messages != nil {
			fmt.Fprintf(w, ", %.1f per message", p.CPUPerMessage)
		}
		fmt.Fprintf(w, ", %.1f MiB resident\n", float64(slices.Max(p.Resident))/(1<<20))
	}
	if m := r.Gateway.Messages; m != nil {
		fmt.Fprintf(w, "API answers: p50 %s, p99 %s ms; states: %s; rejected: %s; skipped: %d\n",
			millis(m.Answer.P50), millis(m.Answer.P99), list(m.States), list(m.Rejected), m.Skipped)
		if m.Late.Count > 0 {
			fmt.Fprintf(w, "calls began late by: p50 %s, p99 %s ms\n", millis(m.Late.P50), millis(m.Late.P99))
		}
	}
	_, err := fmt.Fprintf(w, "refused logins: %s; broken connections: %s; heartbeats: %d; worker processes: %d\n",
		list(r.Gateway.Refused), list(r.Gateway.Broken), r.Gateway.Heartbeats, r.Gateway.Workers)
	return err
}

type printer struct {
	w io.Writer
	r *Result
}

func (p printer) print(name, gateway, floor, ratio string) {
	if p.r.Floor == nil {
		fmt.Fprintf(p.w, "%-38s%12s\n", name, gateway)
		return
	}
	fmt.Fprintf(p.w, "%-38s%12s%12s%9s\n", name, gateway, floor, ratio)
}

// row prints a figure with so many decimals; ratio names the ratio, if any.
func (p printer) row(name, ratio string, decimals int, of func(*Figures) float64) {
	p.line(name, ratio, func(f *Figures) string { return strconv.FormatFloat(of(f), 'f', decimals, 64) })
}

func (p printer) line(name, ratio string, of func(*Figures) string) {
	floor, x := "", ""
	if p.r.Floor != nil {
		floor = of(p.r.Floor)
	}
	if v, ok := p.r.Ratios[ratio]; ok {
		x = strconv.FormatFloat(v, 'f', 2, 64)
	}
	p.print(name, of(p.r.Gateway), floor, x)
}

func (p printer) latency(name, ratio string, of func(*Figures) *Latency) {
	for _, q := range []struct {
		name string
		of   func(*Latency) float64
	}{
		{"p50", func(l *Latency) float64 { return l.P50 }}, {"p90", func(l *Latency) float64 { return l.P90 }},
		{"p99", func(l *Latency) float64 { return l.P99 }}, {"p999", func(l *Latency) float64 { return l.P999 }},
		{"max", func(l *Latency) float64 { return l.Max }},
	} {
		shown := q.name
		if shown == "p999" {
			shown = "p99.9"
		}
		p.line(name+" "+shown+", ms", ratio+"_"+q.name, func(f *Figures) string { return millis(q.of(of(f))) })
	}
}

// millis shows microseconds as milliseconds.
func millis(us float64) string { return strconv.FormatFloat(us/1000, 'f', 3, 64) }
