package keeper

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"longlink/pkg/cluster"
)

const (
	// maxLoads bounds the instances whose figures are held: reports of more are
	// refused with RATE_LIMITED.
	maxLoads = 8192
	// maxFigures of one report, and maxFigureName bytes of a figure's name.
	maxFigures    = 64
	maxFigureName = 64
	// staleLoad is the age at which figures are not shown any more.
	staleLoad = time.Minute
)

type loadKey struct {
	kind cluster.Kind
	id   string
}

type load struct {
	epoch   uint64
	at      time.Time
	figures map[string]float64
}

// loads holds the last report of every instance, in memory only: after a
// restart the next reports fill it within seconds.
type loads struct {
	held prometheus.Gauge

	mu  sync.Mutex
	all map[loadKey]load
}

func newLoads(reg prometheus.Registerer) *loads {
	l := &loads{all: map[loadKey]load{}, held: prometheus.NewGauge(prometheus.GaugeOpts{Name: "longlink_keeper_loads", Help: "Instances whose load figures keeper holds."})}
	reg.MustRegister(l.held)
	return l
}

// put is false when there is no room for another instance. A report of an older
// epoch is ignored.
func (l *loads) put(k loadKey, v load) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	old, ok := l.all[k]
	if !ok && len(l.all) >= maxLoads {
		return false
	}
	if !ok || old.epoch <= v.epoch {
		l.all[k] = v
	}
	l.held.Set(float64(len(l.all)))
	return true
}

// get is the last report of an instance's present life, unless it is stale.
func (l *loads) get(k loadKey, epoch uint64, now time.Time) map[string]float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	v, ok := l.all[k]
	if !ok || v.epoch != epoch || now.Sub(v.at) > staleLoad {
		return nil
	}
	return v.figures
}

// prune forgets the stale reports of instances that are not in the view; a
// fresh one may be ahead of the view.
func (l *loads) prune(v *cluster.View, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for k, x := range l.all {
		if _, ok := v.Get(k.kind, k.id); !ok && now.Sub(x.at) > staleLoad {
			delete(l.all, k)
		}
	}
	l.held.Set(float64(len(l.all)))
}

func (l *loads) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.all)
}
