package center

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"longlink/pkg/api"
	"longlink/pkg/cluster"
	"longlink/pkg/rpc"
	"longlink/pkg/trace"
)

const (
	// traceParallel is how many instances are asked at once.
	traceParallel = 16
	// traceAll is how many rooms are all asked. Of more only those that may have
	// had the message: where it was located, and where its devices are now.
	traceAll = 64
)

// tracer asks the instances what they remember of one message.
type tracer struct {
	s   *server
	req *api.TraceRequest

	mu     sync.Mutex
	events []*api.TraceEvent // a little more than maxSteps at most
	silent []string
}

func newTracer(s *server, req *api.TraceRequest) *tracer { return &tracer{s: s, req: req} }

// ask asks savers and centers, and then the rooms; both within call_timeout.
func (t *tracer) ask(ctx context.Context) {
	v := t.s.deps.Peers.Views().View()
	self := t.s.deps.Peers.Self().ID
	own := trace.Server{Ring: t.s.deps.Trace, Node: self}
	if rep, err := own.Trace(ctx, t.req); err == nil {
		t.add(rep.Events)
	}
	first := slices.Concat(v.Kind(cluster.Saver), slices.DeleteFunc(slices.Clone(v.Kind(cluster.Center)), func(i cluster.Instance) bool { return i.ID == self }))
	rooms := v.Kind(cluster.Room)
	if len(rooms) <= traceAll {
		t.askAll(ctx, append(first, rooms...))
		return
	}
	t.askAll(ctx, first)
	named := t.rooms(ctx)
	t.askAll(ctx, slices.DeleteFunc(slices.Clone(rooms), func(i cluster.Instance) bool { return !named[i.ID] }))
}

// askAll asks instances. One that hangs costs the others half of the time.
func (t *tracer) askAll(ctx context.Context, all []cluster.Instance) {
	timeout := t.s.cfg.CallTimeout.Std()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	t.s.each(ctx, "center.trace", len(all), traceParallel, func(ctx context.Context, n int) {
		ctx, cancel := context.WithTimeout(ctx, timeout/2)
		defer cancel()
		cc, err := t.s.deps.Peers.Conn(all[n].RPC)
		var rep *api.TraceReply
		if err == nil {
			rep, err = api.NewTraceClient(cc).Trace(ctx, t.req)
		}
		if err != nil {
			t.s.log.Debug("an instance did not tell its part of a trace", "request_id", rpc.RequestID(ctx), "instance", all[n].ID, "err", err)
			t.unanswered(all[n].ID)
			return
		}
		t.add(rep.Events)
	})
}

// rooms are those that may have had the message.
func (t *tracer) rooms(ctx context.Context) map[string]bool {
	named := map[string]bool{}
	t.mu.Lock()
	for _, e := range t.events {
		if e.Stage == string(trace.Located) && e.Code == 0 {
			named[e.Detail] = true
		}
	}
	t.mu.Unlock()
	var devices []string
	for _, x := range t.req.Targets {
		devices = append(devices, x.Device)
	}
	ctx, cancel := context.WithTimeout(ctx, t.s.cfg.CallTimeout.Std())
	defer cancel()
	for _, found := range t.s.sessions(ctx, devices) {
		named[found.GetSession().GetRoom()] = true
	}
	return named
}

// add takes an answer. What is not of the product asked for is not told.
func (t *tracer) add(events []*api.TraceEvent) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range events {
		if t.req.Product == "" || e.Product == t.req.Product {
			t.events = append(t.events, e)
		}
	}
	if len(t.events) > 2*maxSteps {
		t.trim()
	}
}

// trim keeps the oldest. Called with mu held.
func (t *tracer) trim() {
	slices.SortStableFunc(t.events, func(a, b *api.TraceEvent) int { return cmp.Compare(a.AtUs, b.AtUs) })
	t.events = t.events[:min(len(t.events), maxSteps)]
}

func (t *tracer) unanswered(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.silent = append(t.silent, id)
}

func (t *tracer) result() (events []*api.TraceEvent, silent []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.trim()
	slices.Sort(t.silent)
	return t.events, slices.Compact(t.silent)
}
