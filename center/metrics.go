package center

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	requests *prometheus.CounterVec
	push     *prometheus.HistogramVec
	targets  *prometheus.CounterVec
	retries  *prometheus.CounterVec

	events        prometheus.Counter
	eventFailures prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, b *budget, f *followers) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "longlink_center_requests_total", Help: "API calls by the code of the answer."}, []string{"call", "code"}),
		push: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "longlink_center_push_seconds",
			Help:    "From the call: until every message of a push was stored or refused (stored), until every one of them was taken by a room or given up on (settled), until the acks that were waited for (acked).",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 60}}, []string{"stage"}),
		targets:       prometheus.NewCounterVec(prometheus.CounterOpts{Name: "longlink_center_push_messages_total", Help: "Device messages by what became of them: sent, stored, acked before the delivery was settled, or an error's code."}, []string{"result"}),
		retries:       prometheus.NewCounterVec(prometheus.CounterOpts{Name: "longlink_center_push_retries_total", Help: "Steps of a push that were repeated."}, []string{"step"}),
		events:        prometheus.NewCounter(prometheus.CounterOpts{Name: "longlink_center_events_total", Help: "Events that were sent to followers."}),
		eventFailures: prometheus.NewCounter(prometheus.CounterOpts{Name: "longlink_center_event_failures_total", Help: "Turns of followers in which a saver could not be read; the next one is asked."}),
	}
	reg.MustRegister(m.events, m.eventFailures, m.requests, m.push, m.targets, m.retries,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "longlink_center_event_followers", Help: "Calls that follow events."},
			func() float64 { return float64(f.count()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "longlink_center_push_in_flight", Help: "Device messages being stored, delivered or waited for."},
			func() float64 { n, _ := b.used(); return float64(n) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "longlink_center_push_in_flight_bytes", Help: "Bytes of the messages of those pushes, and of the bodies of batches."},
			func() float64 { _, n := b.used(); return float64(n) }))
	return m
}

// stage notes how long after its begin a push reached a stage.
func (m *metrics) stage(name string, began time.Time) {
	m.push.WithLabelValues(name).Observe(time.Since(began).Seconds())
}
