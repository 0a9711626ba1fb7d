package keeper

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.etcd.io/etcd/api/v3/mvccpb"

	"longlink/pkg/cluster"
	"longlink/pkg/config"
)

// feed is a fake etcd: one history of keys, the leases of holds, and viewers
// that may be behind or see several changes at once.
type feed struct {
	now      time.Time
	revision int64
	keys     map[string]*mvccpb.KeyValue
	ends     map[string]time.Time // of hold records
	viewers  []*views
}

const (
	testWindow = 30 * time.Second
	testHold   = 5 * time.Minute
)

func newFeed(viewers int) *feed {
	f := &feed{now: time.Unix(1_800_000_000, 0), revision: 1, keys: map[string]*mvccpb.KeyValue{}, ends: map[string]time.Time{}}
	for range viewers {
		f.viewer()
	}
	return f
}

func (f *feed) viewer() *views {
	cfg := DefaultConfig()
	cfg.ShrinkWindow, cfg.ShrinkHold = config.Duration(testWindow), config.Duration(testHold)
	v := &views{}
	v.prepare(cfg, newMetrics(prometheus.NewRegistry(), func() time.Duration { return 0 }, func() uint64 { return 0 }), slog.New(slog.DiscardHandler))
	v.now = func() time.Time { return f.now }
	f.viewers = append(f.viewers, v)
	f.show(v)
	return v
}

// show brings a viewer up to date.
func (f *feed) show(v *views) *cluster.View {
	all := map[string]entry{}
	for key, kv := range f.keys {
		e, err := parseEntry(kv)
		if err != nil {
			panic(err)
		}
		all[key] = e
	}
	v.apply(f.revision, all)
	return v.View()
}

func (f *feed) put(key, value string) {
	f.revision++
	f.keys[key] = &mvccpb.KeyValue{Key: []byte(key), Value: []byte(value), ModRevision: f.revision}
}

func (f *feed) remove(key string) {
	if _, ok := f.keys[key]; ok {
		f.revision++
		delete(f.keys, key)
	}
}

func (f *feed) join(id string, s cluster.State) {
	i := room(id)
	i.State, i.Epoch = s, uint64(f.revision)
	f.put(instanceKey(cluster.Room, id), encode(i))
}

func (f *feed) crash(id string) { f.remove(instanceKey(cluster.Room, id)) }

func (f *feed) pass(d time.Duration) {
	f.now = f.now.Add(d)
	for key, end := range f.ends {
		if !f.now.Before(end) {
			f.remove(key)
			delete(f.ends, key)
		}
	}
}

// write carries a viewer's orders out as etcd's compare-and-put would.
func (f *feed) write(v *views) {
	for _, o := range v.orders() {
		key := heldPrefix + string(o.kind)
		was := f.keys[key]
		if (was == nil) != (o.was == nil) || was != nil && was.ModRevision != o.was.revision {
			continue // lost the race
		}
		if len(o.instances) == 0 {
			f.remove(key)
			delete(f.ends, key)
			continue
		}
		f.put(key, encode(record{Kind: o.kind, Instances: o.instances}))
		if was == nil {
			f.ends[key] = f.now.Add(testHold)
		}
	}
}

func (f *feed) ids() []string {
	var ids []string
	for key, kv := range f.keys {
		if e, _ := parseEntry(kv); e.hold == nil && e.inst.State != left {
			ids = append(ids, key[strings.LastIndexByte(key, '/')+1:])
		}
	}
	slices.Sort(ids)
	return ids
}

func (f *feed) ready() (ids []string) {
	for _, id := range f.ids() {
		if e, _ := parseEntry(f.keys[instanceKey(cluster.Room, id)]); e.inst.State == cluster.Ready {
			ids = append(ids, id)
		}
	}
	return ids
}

func shown(v *cluster.View) (ids, held []string) {
	for _, i := range v.Kind(cluster.Room) {
		ids = append(ids, i.ID)
		if i.Held {
			held = append(held, i.ID)
		}
	}
	return ids, held
}

func names(n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprintf("r%d", i))
	}
	return out
}
