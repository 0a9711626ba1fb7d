package trace

import (
	"context"

	"longlink/pkg/api"
	"longlink/pkg/code"
)

// Bounds of one look.
const (
	maxTargets = 1000
	maxEvents  = 4000
)

// Server answers for an instance's ring.
type Server struct {
	api.UnimplementedTraceServer
	Ring *Ring
	Node string // instance id
}

// Trace implements api.TraceServer. Called by center.
func (s *Server) Trace(_ context.Context, r *api.TraceRequest) (*api.TraceReply, error) {
	if len(r.Targets) > maxTargets {
		return nil, code.Errorf(code.TooManyTargets, "%d targets, at most %d are taken", len(r.Targets), maxTargets).WithField("targets")
	}
	targets := make([]Target, len(r.Targets))
	for i, t := range r.Targets {
		targets[i] = Target{Product: t.Product, Device: t.Device, Seq: t.Seq}
	}
	out := &api.TraceReply{}
	for _, e := range s.Ring.Find(r.Id, r.Product, targets, maxEvents) {
		out.Events = append(out.Events, &api.TraceEvent{AtUs: e.At.UnixMicro(), Stage: string(e.Stage), Node: s.Node,
			Product: e.Product, Device: e.Device, Seq: e.Seq, Code: uint32(e.Code), Detail: e.Detail})
	}
	return out, nil
}
