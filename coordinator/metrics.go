package coordinator

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	kicks *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		kicks: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "longlink_coordinator_kicks_total", Help: "Devices kicked, by the code of the result."}, []string{"code"}),
	}
	reg.MustRegister(m.kicks)
	return m
}
