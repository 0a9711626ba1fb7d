package local

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
)

// Health is what Status finds out about one process.
type Health struct {
	*Process
	Alive bool
	Err   error // why it is not ready; nil when it is
}

// Status asks every process, the stores first; stores may be nil.
func Status(ctx context.Context, c *Cluster, stores *StoresRun) (out []Health) {
	if stores != nil {
		for _, p := range stores.Processes() {
			h := Health{Process: p, Alive: p.Alive()}
			if h.Alive {
				h.Err = p.answers()
			} else {
				h.Err = fmt.Errorf("%s does not run", p.Name())
			}
			out = append(out, h)
		}
	}
	for _, p := range c.Processes() {
		out = append(out, Health{Process: p, Alive: p.Alive(), Err: p.Ready(ctx)})
	}
	return out
}

// Print writes a line for each process and returns how many are not ready.
func Print(w io.Writer, list []Health) (unready int, err error) {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "KIND\tN\tPID\tALIVE\tREADY\tADDRESS\tOPS\tLOG")
	for _, h := range list {
		pid, alive, ready, ops := fmt.Sprint(h.PID), "yes", "yes", "-"
		if !h.Alive {
			pid, alive = "-", "no"
		}
		if h.Err != nil {
			unready++
			ready = "no"
			if h.Alive {
				ready = "no: " + h.Err.Error()
			}
		}
		if a := h.Ops(); a != "" {
			ops = "http://" + a
		}
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\n", h.Kind, h.N, pid, alive, ready, h.Addr, ops, h.Log)
	}
	return unready, t.Flush()
}
