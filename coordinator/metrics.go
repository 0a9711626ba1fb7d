package coordinator

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	kicks    *prometheus.CounterVec
	upstream *prometheus.CounterVec
}

// newMetrics registers them; held is read by its gauge.
func newMetrics(reg prometheus.Registerer, h *held) *metrics {
	m := &metrics{
		kicks:    prometheus.NewCounterVec(prometheus.CounterOpts{Name: "longlink_coordinator_kicks_total", Help: "Devices kicked, by the code of the result."}, []string{"code"}),
		upstream: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "longlink_coordinator_upstream_total", Help: "Upstream items answered, by the code of the result."}, []string{"result"}),
	}
	reg.MustRegister(m.kicks, m.upstream,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "longlink_coordinator_upstream_bytes", Help: "Upstream data on its way to savers, with its overhead."}, h.bytes))
	return m
}
