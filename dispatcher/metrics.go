package dispatcher

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	requests    *prometheus.CounterVec
	connections prometheus.Gauge
	refused     prometheus.Counter
	addresses   prometheus.Gauge
	evicted     prometheus.Counter
	polls       *prometheus.CounterVec
	rooms       *prometheus.GaugeVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		requests:    prometheus.NewCounterVec(prometheus.CounterOpts{Name: "longlink_dispatcher_requests_total", Help: "Requests by the code of their answer."}, []string{"code"}),
		connections: prometheus.NewGauge(prometheus.GaugeOpts{Name: "longlink_dispatcher_connections", Help: "Open HTTP connections."}),
		refused:     prometheus.NewCounter(prometheus.CounterOpts{Name: "longlink_dispatcher_refused_connections_total", Help: "Connections closed because of max_connections."}),
	}
	m.addresses = prometheus.NewGauge(prometheus.GaugeOpts{Name: "longlink_dispatcher_rate_addresses", Help: "Addresses in the rate limit's table."})
	m.evicted = prometheus.NewCounter(prometheus.CounterOpts{Name: "longlink_dispatcher_rate_evictions_total", Help: "Addresses forgotten because rate.addresses was reached."})
	m.polls = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "longlink_dispatcher_load_polls_total", Help: "Questions for load figures, ok or failed when no keeper answered."}, []string{"result"})
	m.rooms = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "longlink_dispatcher_rooms", Help: "Rooms of the view: ready, full, draining or held (seen last by the registry)."}, []string{"state"})
	reg.MustRegister(m.requests, m.connections, m.refused, m.addresses, m.evicted, m.polls, m.rooms)
	return m
}
