package keeper

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics of a Client; one registry takes one Client.
type metrics struct {
	relists       *prometheus.CounterVec
	registrations prometheus.Counter
	sections      prometheus.Gauge
	instances     *prometheus.GaugeVec
	held          *prometheus.GaugeVec
}

func newMetrics(reg prometheus.Registerer, age func() time.Duration, revision func() uint64) *metrics {
	m := &metrics{
		relists:       prometheus.NewCounterVec(prometheus.CounterOpts{Name: "longlink_keeper_lists_total", Help: "Full lists of a prefix, at the start and after every broken watch."}, []string{"prefix"}),
		registrations: prometheus.NewCounter(prometheus.CounterOpts{Name: "longlink_keeper_registrations_total", Help: "Leases under which instances of this process were announced."}),
		sections:      prometheus.NewGauge(prometheus.GaugeOpts{Name: "longlink_config_revision", Help: "etcd revision of the newest config section in keeper, 0 when there is none."}),
		instances:     prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "longlink_keeper_instances", Help: "Instances in the view."}, []string{"kind"}),
		held:          prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "longlink_keeper_view_held", Help: "Instances in the view that the registry lacks, because too many of their kind vanished at once."}, []string{"kind"}),
	}
	reg.MustRegister(m.relists, m.registrations, m.sections, m.instances, m.held,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "longlink_keeper_view_age_seconds", Help: "Seconds since contact with etcd was last confirmed."},
			func() float64 { return age().Seconds() }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "longlink_keeper_view_revision", Help: "Revision of the view."},
			func() float64 { return float64(revision()) }))
	return m
}
