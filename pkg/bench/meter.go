package bench

import (
	"fmt"
	"time"
)

// meter reads CPU clocks and resident memory of the measured processes.
type meter struct {
	procs []proc
	at    time.Time
	cpu   []time.Duration
	first []int64
}

// lap is what the processes used since the last one.
type lap struct {
	procs    []proc
	took     time.Duration
	cpu      []time.Duration // in the lap
	resident []int64         // at its end
	first    []int64         // when the meter began
}

func newMeter(procs []proc) (*meter, error) {
	m := &meter{procs: procs}
	_, err := m.lap()
	return m, err
}

func (m *meter) lap() (lap, error) {
	l := lap{procs: m.procs}
	now := time.Now()
	for i, p := range m.procs {
		cpu, err := cpuOf(p.pid)
		if err != nil {
			return l, fmt.Errorf("%s: %w", p.name, err)
		}
		rss, err := residentOf(p.pid)
		if err != nil {
			return l, fmt.Errorf("%s: %w", p.name, err)
		}
		if len(m.cpu) == i {
			m.cpu, m.first = append(m.cpu, cpu), append(m.first, rss)
		}
		l.cpu = append(l.cpu, cpu-m.cpu[i])
		l.resident = append(l.resident, rss)
		m.cpu[i] = cpu
	}
	if !m.at.IsZero() {
		l.took = now.Sub(m.at)
	}
	m.at, l.first = now, m.first
	return l, nil
}
