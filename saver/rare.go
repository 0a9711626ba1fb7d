package saver

import (
	"github.com/prometheus/client_golang/prometheus"

	"longlink/pkg/code"
)

// turns bounds how many of the rare calls (recall, find, aliases) are at the
// ledger at once, so that they are refused rather than pile up when it is slow.
type turns chan struct{}

// maxTurns is how many: more than the ledger has connections, which is where
// they wait for each other.
const maxTurns = 256

// rareMetrics are those of the rare calls, and of the aliases that logins claim.
type rareMetrics struct {
	calls   *prometheus.CounterVec // call, result: OK or the code
	recalls *prometheus.CounterVec // result: OK or the code
	claims  prometheus.Gauge
	claimed *prometheus.CounterVec // result
}

func newRareMetrics(reg prometheus.Registerer) rareMetrics {
	m := rareMetrics{
		calls:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "longlink_saver_ledger_calls_total", Help: "Look-ups by id and calls for aliases, by result."}, []string{"call", "result"}),
		recalls: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "longlink_saver_recalls_total", Help: "Recalls by result."}, []string{"result"}),
		claims:  prometheus.NewGauge(prometheus.GaugeOpts{Name: "longlink_saver_alias_claims_pending", Help: "Aliases that tokens name and that have not reached the ledger."}),
		claimed: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "longlink_saver_alias_claims_total", Help: "Aliases that tokens name, by result: HELD before, WRITTEN, FULL when the alias is, REFUSED when too many wait for the ledger; LATE counts the batches of loads that did not wait longer."}, []string{"result"}),
	}
	reg.MustRegister(m.calls, m.recalls, m.claims, m.claimed)
	return m
}

// claim counts what became of claims.
func (m *rareMetrics) claim(result string, n int) {
	if n > 0 {
		m.claimed.WithLabelValues(result).Add(float64(n))
	}
}

// rare runs one of the rare calls when it gets a turn, and counts it.
func rare[R any](s *Saver, count func(result string) prometheus.Counter, do func() (R, *code.Error)) (rep R, err error) {
	e := code.Errorf(code.RateLimited, "too many recalls, look-ups and calls for aliases at this saver")
	select {
	case s.turns <- struct{}{}:
		defer func() { <-s.turns }()
		rep, e = do()
	default:
	}
	if e != nil {
		count(e.Code.String()).Inc()
		return rep, e
	}
	count(code.OK.String()).Inc()
	return rep, nil
}
