package dispatcher

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	requests    *prometheus.CounterVec
	connections prometheus.Gauge
	refused     prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		requests:    prometheus.NewCounterVec(prometheus.CounterOpts{Name: "longlink_dispatcher_requests_total", Help: "Requests by the code of their answer."}, []string{"code"}),
		connections: prometheus.NewGauge(prometheus.GaugeOpts{Name: "longlink_dispatcher_connections", Help: "Open HTTP connections."}),
		refused:     prometheus.NewCounter(prometheus.CounterOpts{Name: "longlink_dispatcher_refused_connections_total", Help: "Connections closed because of max_connections."}),
	}
	reg.MustRegister(m.requests, m.connections, m.refused)
	return m
}
