package room

import (
	"longlink/pkg/api"
	"longlink/pkg/code"
	"longlink/pkg/trace"
)

// step remembers what happened to a message here; detail is constant text. One
// without an id, as the sweep delivers, could not be asked for.
func (r *Room) step(s trace.Stage, device, product string, seq uint64, id string, why code.Code, detail string) {
	if id != "" {
		r.deps.Trace.Add(trace.Event{Stage: s, ID: id, Product: product, Device: device, Seq: seq, Code: why, Detail: detail})
	}
}

// dropped counts and remembers a delivery that was not written.
func (r *Room) dropped(it *api.DeliverItem, why code.Code) {
	r.metrics.drop(why)
	m := it.GetMessage()
	r.step(trace.Written, it.Device, it.Product, m.GetSeq(), m.GetMessage().GetId(), why, "")
}
