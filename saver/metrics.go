package saver

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"longlink/pkg/api"
	"longlink/pkg/code"
)

type metrics struct {
	rareMetrics

	appends         *prometheus.CounterVec   // result: OK, DUPLICATE, or the code
	drops           *prometheus.CounterVec   // reason
	rebuildSlots    *prometheus.GaugeVec     // state
	rebuilds        *prometheus.CounterVec   // result
	rebuiltRows     prometheus.Counter       //
	scripts         *prometheus.HistogramVec // script
	commits         prometheus.Histogram
	commitRows      prometheus.Histogram
	cursors         prometheus.Gauge
	waiters         prometheus.Gauge
	sweepPending    prometheus.Gauge
	sweeps          *prometheus.CounterVec // result: the room's answer, or the code
	upstream        *prometheus.CounterVec // result: OK, DUPLICATE, or the code
	upstreamCommits prometheus.Histogram
	upstreamReads   *prometheus.CounterVec // result: OK or the code
}

func newMetrics(reg prometheus.Registerer) *metrics {
	seconds := prometheus.ExponentialBuckets(0.0001, 2.5, 12) // 0.1 ms to 2.4 s
	m := &metrics{
		rareMetrics: newRareMetrics(reg),

		appends:         prometheus.NewCounterVec(prometheus.CounterOpts{Name: "longlink_saver_appends_total", Help: "Appends by result."}, []string{"result"}),
		drops:           prometheus.NewCounterVec(prometheus.CounterOpts{Name: "longlink_saver_drops_total", Help: "Messages that left their lane unacknowledged."}, []string{"reason"}),
		rebuildSlots:    prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "longlink_saver_rebuild_slots", Help: "Slots by state: ready, waiting for a rebuild, rebuilding, or not looked at since Redis changed."}, []string{"state"}),
		rebuilds:        prometheus.NewCounterVec(prometheus.CounterOpts{Name: "longlink_saver_rebuilds_total", Help: "Slots rebuilt from the ledger, by result."}, []string{"result"}),
		rebuiltRows:     prometheus.NewCounter(prometheus.CounterOpts{Name: "longlink_saver_rebuilt_messages_total", Help: "Messages brought back from the ledger."}),
		scripts:         prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "longlink_saver_script_seconds", Help: "Time of one script call.", Buckets: seconds}, []string{"script"}),
		commits:         prometheus.NewHistogram(prometheus.HistogramOpts{Name: "longlink_saver_commit_seconds", Help: "Time of one group commit.", Buckets: seconds}),
		commitRows:      prometheus.NewHistogram(prometheus.HistogramOpts{Name: "longlink_saver_commit_rows", Help: "Rows in one group commit.", Buckets: prometheus.ExponentialBuckets(1, 2, 11)}),
		cursors:         prometheus.NewGauge(prometheus.GaugeOpts{Name: "longlink_saver_cursors_pending", Help: "Lanes whose cursor has not reached the ledger."}),
		waiters:         prometheus.NewGauge(prometheus.GaugeOpts{Name: "longlink_saver_waiters", Help: "Calls that wait for an ack."}),
		sweepPending:    prometheus.NewGauge(prometheus.GaugeOpts{Name: "longlink_saver_sweep_pending", Help: "Lanes with messages that no ack has passed and no room or register has settled."}),
		sweeps:          prometheus.NewCounterVec(prometheus.CounterOpts{Name: "longlink_saver_sweep_redeliveries_total", Help: "Questions about such lanes, by result: SENT, HAVE, DUPLICATE, UNBOUND and OFFLINE settle, EXPIRED, MISSING and ABANDONED end, GONE and codes are asked again."}, []string{"result"}),
		upstream:        prometheus.NewCounterVec(prometheus.CounterOpts{Name: "longlink_saver_upstream_total", Help: "Upstream items by result."}, []string{"result"}),
		upstreamCommits: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "longlink_saver_upstream_commit_seconds", Help: "Time of one group commit of upstream items.", Buckets: seconds}),
		upstreamReads:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "longlink_saver_upstream_reads_total", Help: "Pages of the upstream log that were asked for, by result."}, []string{"result"}),
	}
	reg.MustRegister(m.appends, m.drops, m.rebuildSlots, m.rebuilds, m.rebuiltRows, m.scripts, m.commits, m.commitRows, m.cursors, m.waiters, m.sweepPending, m.sweeps, m.upstream, m.upstreamCommits, m.upstreamReads)
	return m
}

// script times one script call.
func (m *metrics) script(name string, start time.Time) {
	m.scripts.WithLabelValues(name).Observe(time.Since(start).Seconds())
}

// countDeadlocks shows the ledger's count.
func (m *metrics) countDeadlocks(reg prometheus.Registerer, count func() uint64) {
	reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "longlink_saver_ledger_deadlocks_total", Help: "Transactions that the ledger's database rolled back to end a deadlock; each is tried again, three times at most."},
		func() float64 { return float64(count()) }))
}

// upstreamed counts an answer to an upstream item.
func (m *metrics) upstreamed(r *api.UpResult) {
	result := code.Code(r.GetResult().GetCode()).String()
	if r.GetDuplicate() {
		result = "DUPLICATE"
	}
	m.upstream.WithLabelValues(result).Inc()
}

// upstreamRead counts a page; a caller that left is counted as DEADLINE.
func (m *metrics) upstreamRead(err error) {
	result := code.OK
	if err != nil {
		result = code.Deadline
		if e := (*code.Error)(nil); errors.As(err, &e) {
			result = e.Code
		}
	}
	m.upstreamReads.WithLabelValues(result.String()).Inc()
}

// swept counts what a question of the sweep came to.
func (m *metrics) swept(result string, n int) {
	if n > 0 {
		m.sweeps.WithLabelValues(result).Add(float64(n))
	}
}

// expired counts messages whose time was over before they were acknowledged.
func (m *metrics) expired(n int) {
	if n > 0 {
		m.drops.WithLabelValues("EXPIRED").Add(float64(n))
	}
}
