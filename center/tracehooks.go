package center

import (
	"longlink/pkg/api"
	"longlink/pkg/code"
	"longlink/pkg/trace"
)

// accepted notes that the call was taken.
func (f *flight) accepted(t *target) {
	f.s.deps.Trace.Add(trace.Event{At: f.began, Stage: trace.Accepted, ID: t.push.msg.Id, Product: t.push.product, Device: t.device})
}

// step notes what happened to a target, under the id that its push is answered
// with. detail is text that is there anyway: a push formats nothing for this.
func (f *flight) step(t *target, stage trace.Stage, c code.Code, detail string) {
	f.s.deps.Trace.Add(trace.Event{Stage: stage, ID: t.push.msg.Id, Product: t.push.product, Device: t.device, Seq: t.seq, Code: c, Detail: detail})
}

// stepLocated notes register's answer: the room, or why there is none.
func (f *flight) stepLocated(t *target, r *api.LocateResult, err *code.Error) {
	if err != nil {
		f.step(t, trace.Located, err.Code, "")
		return
	}
	f.step(t, trace.Located, code.OK, r.Room)
}

// stepHanded notes a room's answer, or why there is none.
func (f *flight) stepHanded(t *target, r *api.DeliverResult, err *code.Error) {
	if err != nil {
		f.step(t, trace.Handed, err.Code, "")
		return
	}
	switch r.State {
	case api.DeliverResult_STATE_SENT:
		f.step(t, trace.Handed, code.OK, "sent")
	case api.DeliverResult_STATE_HAVE:
		f.step(t, trace.Handed, code.OK, "have")
	case api.DeliverResult_STATE_DUPLICATE:
		f.step(t, trace.Handed, code.OK, "duplicate")
	case api.DeliverResult_STATE_GONE:
		f.step(t, trace.Handed, code.DropGone, "gone")
	case api.DeliverResult_STATE_UNBOUND:
		f.step(t, trace.Handed, code.DropUnbound, "unbound")
	default:
		f.step(t, trace.Handed, code.DropWindow, "dropped")
	}
}
