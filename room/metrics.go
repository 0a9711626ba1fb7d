package room

import (
	"github.com/prometheus/client_golang/prometheus"

	"longlink/pkg/code"
)

// Kinds of a written push, the label of room_deliveries_total.
const (
	kindDirect = iota // handed to the room and written at once
	kindLoad          // from a page of the lane
	kindQoS0          // never stored
	kinds
)

var kindNames = [kinds]string{"direct", "load", "qos0"}

// metrics of one room. Labels are codes of pkg/code or the kinds above.
type metrics struct {
	connections   prometheus.GaugeFunc
	sessions      prometheus.GaugeFunc
	parked        prometheus.Gauge
	outbound      prometheus.GaugeFunc
	upstreamBytes prometheus.GaugeFunc
	upstream      *prometheus.CounterVec
	logins        *prometheus.CounterVec
	closes        *prometheus.CounterVec
	deliveries    [kinds]prometheus.Counter
	drops         map[code.Code]prometheus.Counter
	delivery, ack prometheus.Histogram
	panics        prometheus.Counter
	acceptPauses  prometheus.Counter
	cutAcks       prometheus.Counter
}

// newMetrics registers them. The gauges read the room's own counters, so that
// a scrape costs the loops nothing.
func newMetrics(reg prometheus.Registerer, r *Room) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "longlink_room_" + name, Help: help})
	}
	vec := func(name, label, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "longlink_room_" + name, Help: help}, []string{label})
	}
	gauge := func(name, help string, f func() float64) prometheus.GaugeFunc {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "longlink_room_" + name, Help: help}, f)
	}
	m := &metrics{
		connections:   gauge("connections", "Connections held, logged in or not.", func() float64 { return float64(r.connections.Load()) }),
		sessions:      gauge("sessions", "Sessions: connections that are logged in.", func() float64 { return float64(r.sessions.Load()) }),
		outbound:      gauge("outbound_bytes", "Bytes waiting in outbound buffers, as last seen.", func() float64 { return float64(r.outbound.Load()) }),
		upstreamBytes: gauge("upstream_bytes", "Upstream data that waits or is on its way to a coordinator, with its overhead.", func() float64 { return float64(r.upstream.Load()) }),
		upstream:      vec("upstream_total", "code", "UPs answered, by the code of UPACK."),
		parked:        prometheus.NewGauge(prometheus.GaugeOpts{Name: "longlink_room_parked_sessions", Help: "Sessions kept after their connection broke."}),
		logins:        vec("logins_total", "result", "HELLOs answered, by code."),
		closes:        vec("closes_total", "code", "Connections ended, by the code of BYE; OK: by the device."),
		delivery:      prometheus.NewHistogram(prometheus.HistogramOpts{Name: "longlink_delivery_seconds", Help: "From the API call to the write, of messages that were not waiting in their lane.", Buckets: prometheus.ExponentialBuckets(0.001, 2, 16)}),
		ack:           prometheus.NewHistogram(prometheus.HistogramOpts{Name: "longlink_ack_seconds", Help: "From the write to the acknowledgement, of the newest message each ACK covers.", Buckets: prometheus.ExponentialBuckets(0.001, 2, 18)}),
		panics:        counter("panics_total", "Panics in handlers; each cost one connection at most."),
		acceptPauses:  counter("accept_pauses_total", "Pauses of an acceptor because accepting failed, such as for want of file descriptors."),
		cutAcks:       counter("acks_cut_total", "ACKs above what was sent, cut to it."),
	}
	deliveries := vec("deliveries_total", "kind", "Pushes written: direct, load (from the stored lane) or qos0.")
	for i, kind := range kindNames {
		m.deliveries[i] = deliveries.WithLabelValues(kind)
	}
	drops := vec("drops_total", "reason", "Deliveries and results that were not used, by code.")
	m.drops = map[code.Code]prometheus.Counter{}
	for _, c := range []code.Code{code.DropDuplicate, code.DropWindow, code.DropGone, code.DropQueueFull,
		code.DropUnbound, code.DropSlow, code.DropOldBatch, code.PayloadTooLarge} {
		m.drops[c] = drops.WithLabelValues(c.String())
	}
	reg.MustRegister(m.connections, m.sessions, m.parked, m.outbound, m.upstreamBytes, m.upstream, m.logins, m.closes, m.delivery, m.ack,
		m.panics, m.acceptPauses, m.cutAcks, deliveries, drops)
	return m
}

func (m *metrics) drop(c code.Code) { m.drops[c].Inc() }
