package saver

import (
	"longlink/pkg/api"
	"longlink/pkg/code"
	"longlink/pkg/trace"
	"longlink/saver/lane"
)

// traceAppend remembers how an append was answered.
func (s *Saver) traceAppend(j *appendJob) {
	e := trace.Event{Stage: trace.Stored, ID: j.message.Id, Product: j.ref.Product, Device: j.ref.Device,
		Seq: j.result.Seq, Code: code.Code(j.result.GetResult().GetCode())}
	if j.result.Duplicate {
		e.ID, e.Detail = j.result.Id, "repeated"
	}
	s.deps.Trace.Add(e)
}

// traceLoaded remembers that a message was in a page.
func (s *Saver) traceLoaded(ref lane.Ref, seq uint64, m *api.Message) {
	s.deps.Trace.Add(trace.Event{Stage: trace.Loaded, ID: m.Id, Product: ref.Product, Device: ref.Device, Seq: seq})
}

// traceHanded remembers what the sweep found out about the newest message of a
// lane. One that was learnt from the ledger after another saver ended has no id
// here.
func (s *Saver) traceHanded(q question, c code.Code, detail string) {
	if q.id != "" {
		s.deps.Trace.Add(trace.Event{Stage: trace.Handed, ID: q.id, Product: q.ref.Product, Device: q.ref.Device, Seq: q.seq, Code: c, Detail: detail})
	}
}
