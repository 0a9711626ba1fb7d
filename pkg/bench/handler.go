package bench

import (
	"time"

	"github.com/panjf2000/gnet/v2"

	"longlink/pkg/wire"
)

// Reasons of an ending that are no codes of the gateway.
const (
	endDial    = "DIAL_FAILED"
	endBroken  = "CONNECTION_BROKEN"
	endTimeout = "LOGIN_TIMEOUT"
)

// fleetHandler is the door from gnet into a fleet.
type fleetHandler struct {
	gnet.BuiltinEventEngine
	fleet *fleet
}

// enter and exit bracket everything that runs on the loop. inside is the
// loop's own: gnet closes a connection, and calls OnClose, inside a Write that
// fails.
func (f *fleet) enter() { f.mu.Lock(); f.inside = true }
func (f *fleet) exit()  { f.inside = false; f.mu.Unlock() }

// OnOpen sends HELLO.
func (h *fleetHandler) OnOpen(gc gnet.Conn) ([]byte, gnet.Action) {
	d, f := gc.Context().(*device), h.fleet
	f.enter()
	defer f.exit()
	f.el = gc.EventLoop()
	f.count.Open++
	d.gc = gc
	if d.state != stateNew { // the connection came too late
		return nil, gnet.Close
	}
	d.state = stateWaiting
	return wire.AppendHello(nil, &wire.Hello{
		Version: wire.Version, Device: d.id, Token: d.token, Bindings: []wire.Binding{{Product: f.spec.Product}},
		Network: "wifi", Client: "longlink-bench", HeartbeatMS: f.spec.HeartbeatMS,
	}), gnet.None
}

// OnClose counts the end that nobody has given a reason for.
func (h *fleetHandler) OnClose(gc gnet.Conn, _ error) gnet.Action {
	d, f := gc.Context().(*device), h.fleet
	if !f.inside {
		f.enter()
		defer f.exit()
	}
	f.count.Open--
	d.endFor(endBroken)
	return gnet.None
}

// OnTraffic handles every whole frame that came and acknowledges once for all
// of them, as the protocol advises.
func (h *fleetHandler) OnTraffic(gc gnet.Conn) gnet.Action {
	d, f := gc.Context().(*device), h.fleet
	f.enter()
	defer f.exit()
	b, err := gc.Peek(-1)
	if err != nil {
		return gnet.None
	}
	now := time.Now()
	used, ack := 0, false
	for d.state < stateEnded {
		t, body, n, cerr := wire.Header(b[used:], wire.MaxBody)
		if cerr != nil {
			d.end(cerr.Code)
			return gnet.Close
		}
		if n == 0 || len(b)-used < n+body {
			break
		}
		more, ok := d.frame(t, b[used+n:used+n+body], now)
		if !ok {
			return gnet.Close
		}
		ack = ack || more
		used += n + body
	}
	if d.state == stateEnded { // a write has failed: gnet has closed
		return gnet.None
	}
	_, _ = gc.Discard(used)
	if ack && d.state == stateLive {
		f.count.Acks++
		f.scratch = wire.AppendAck(f.scratch[:0], &wire.Ack{Product: f.product, Seq: d.cursor})
		d.write(f.scratch)
	}
	return gnet.None
}
