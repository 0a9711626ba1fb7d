package register

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"longlink/pkg/code"
)

type metrics struct {
	updates   *prometheus.CounterVec
	locates   *prometheus.CounterVec
	evictions *prometheus.CounterVec
	swept     prometheus.Counter
	catchUps  *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer, st *store, sl *slots) *metrics {
	m := &metrics{
		updates:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "longlink_register_updates_total", Help: "Session changes taken from rooms; lost: another session of the device won."}, []string{"op", "result"}),
		locates:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "longlink_register_locates_total", Help: "Devices looked up, by the code of the answer."}, []string{"code"}),
		evictions: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "longlink_register_evictions_total", Help: "Displaced sessions: rooms told, rooms that could not be told, and dropped because the queue was full."}, []string{"result"}),
		swept:     prometheus.NewCounter(prometheus.CounterOpts{Name: "longlink_register_swept_total", Help: "Sessions deleted because their room had left the view for too long, or because the slot is another's."}),
	}
	m.catchUps = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "longlink_register_catch_ups_total", Help: "Callers that showed a newer view while this instance was about to deny a slot: its own view reached theirs, or stayed behind."}, []string{"result"})
	reg.MustRegister(m.updates, m.locates, m.evictions, m.swept, m.catchUps,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "longlink_register_sessions", Help: "Sessions held, hidden ones included."},
			func() float64 { return float64(st.count.Load()) }),
		&slotCollector{sl, prometheus.NewDesc("longlink_register_slots", "Slots owned: ready; warming, not refilled by every room yet; late, still so after the warm deadline.", []string{"state"}, nil)})
	return m
}

// slotCollector counts the slots when it is asked.
type slotCollector struct {
	slots *slots
	desc  *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (c *slotCollector) Describe(ch chan<- *prometheus.Desc) { ch <- c.desc }

// Collect implements prometheus.Collector.
func (c *slotCollector) Collect(ch chan<- prometheus.Metric) {
	ready, warming, late := c.slots.states(time.Now())
	for state, n := range map[string]int{"ready": ready, "warming": warming, "late": late} {
		ch <- prometheus.MustNewConstMetric(c.desc, prometheus.GaugeValue, float64(n), state)
	}
}

func codeOf(e *code.Error) string {
	if e == nil {
		return code.OK.String()
	}
	return e.Code.String()
}
