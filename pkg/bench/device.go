package bench

import (
	"time"

	"github.com/panjf2000/gnet/v2"

	"longlink/pkg/code"
	"longlink/pkg/wire"
)

// state of a device. What is after stateLive is over.
type state uint8

const (
	stateNew     state = iota // not connected yet
	stateWaiting              // HELLO is sent
	stateWelcome              // WELCOME came, BOUND has not
	stateLive                 // bound: messages may come
	stateLeaving              // BYE is sent
	stateEnded
)

// device is one connection of a fleet, with one product. It does what
// docs/protocol.md asks of a device, but for three things: its cursor is in
// memory only, it does not come back after a break (that is counted), and it
// does not ask a dispatcher. Everything is guarded by the fleet's mu; gc is
// used on the loop only.
type device struct {
	fleet  *fleet
	gc     gnet.Conn
	id     string
	token  string // dropped once logged in
	began  time.Time
	again  time.Time // of the next BIND
	cursor uint64
	state  state
	pinged bool // no PONG since the last PING
}

// frame handles one frame. ack: the cursor is to be acknowledged. ok is false
// when the device has ended and its connection must close.
func (d *device) frame(t wire.Type, body []byte, now time.Time) (ack, ok bool) {
	switch t {
	case wire.TypeWelcome:
		ok = d.onWelcome(body)
	case wire.TypeBound:
		ok = d.onBound(body, now)
	case wire.TypePush:
		return d.onPush(body, now)
	case wire.TypePing:
		d.write(wire.PongFrame)
		ok = true
	case wire.TypePong:
		d.pinged = false
		d.fleet.count.Pongs++
		ok = true
	case wire.TypeBye:
		b, err := wire.ParseBye(body)
		if err != nil {
			return false, d.end(err.Code)
		}
		return false, d.end(b.Code)
	default: // not for this device, or a newer room's
		ok = true
	}
	return false, ok
}

func (d *device) onWelcome(body []byte) bool {
	w, err := wire.ParseWelcome(body)
	if err != nil {
		return d.end(err.Code)
	}
	if d.state != stateWaiting {
		return d.end(code.ProtocolError)
	}
	d.state = stateWelcome
	d.fleet.count.granted(w.HeartbeatMS)
	return true
}

func (d *device) onBound(body []byte, now time.Time) bool {
	b, err := wire.ParseBound(body)
	switch {
	case err != nil:
		return d.end(err.Code)
	case d.state == stateLeaving:
		return true
	case d.state != stateWelcome && d.state != stateLive:
		return d.end(code.ProtocolError)
	case b.Code == code.OK:
		if d.state == stateWelcome {
			d.cursor = b.Cursor
			d.loggedIn(now)
		}
		return true
	}
	switch b.Code.Action() {
	case code.RetryNow, code.RetryAfter, code.OtherAddress:
		d.fleet.count.Rebinds++
		d.again = now.Add(time.Duration(max(b.RetryMS, 100)) * time.Millisecond)
		d.fleet.bind[d] = struct{}{}
		return true
	}
	return d.end(b.Code)
}

func (d *device) rebind() {
	if d.state == stateWelcome || d.state == stateLive {
		d.write(wire.AppendBind(nil, &wire.Binding{Product: d.fleet.spec.Product, Cursor: d.cursor}))
	}
}

func (d *device) loggedIn(now time.Time) {
	f := d.fleet
	d.state, d.token = stateLive, ""
	delete(f.open, d)
	<-f.slots
	f.count.LoggedIn++
	f.count.Live++
	f.count.LastLogin = max(f.count.LastLogin, now.UnixNano())
	f.count.Login.Record(now.Sub(d.began))
}

// onPush counts the message the first time its number is consumed.
func (d *device) onPush(body []byte, now time.Time) (ack, ok bool) {
	f := d.fleet
	p, err := wire.ParsePush(body)
	switch {
	case err != nil:
		return false, d.end(err.Code)
	case d.state == stateLeaving:
		return false, true
	case d.state != stateLive:
		return false, d.end(code.ProtocolError)
	case p.Seq != 0 && p.Seq <= d.cursor:
		f.count.Redelivered++
		return true, true
	}
	if p.Seq != 0 {
		d.cursor = p.Seq
	}
	s, stamped := readStamp(p.Payload)
	switch {
	case !stamped || s.run != f.spec.Run || string(p.Product) != f.spec.Product:
		f.count.Foreign++
	case !f.seen.add(s.number):
		f.count.Duplicated++
	default:
		f.count.delivered(s.sent, now)
	}
	return p.Seq != 0, true
}

func (d *device) ping() {
	if d.pinged {
		d.end(code.HeartbeatTimeout)
		_ = d.fleet.el.Close(d.gc) // runs OnClose
		return
	}
	d.pinged = true
	d.fleet.count.Pings++
	d.write(wire.PingFrame)
}

// leave says goodbye; the room closes.
func (d *device) leave() {
	if d.gc == nil || d.state >= stateLeaving {
		return
	}
	if d.state == stateLive {
		d.fleet.count.Live--
	}
	d.state = stateLeaving
	d.write(wire.AppendBye(nil, &wire.Bye{Code: code.OK}))
}

// write may close the connection, and so end the device, when it fails.
func (d *device) write(b []byte) {
	if d.state < stateEnded {
		_, _ = d.gc.Write(b)
	}
}

// end counts what became of the device, once, and returns false. The
// connection, if there is one, is the caller's to close.
func (d *device) end(why code.Code) bool { return d.endFor(why.String()) }

func (d *device) endFor(why string) bool {
	f := d.fleet
	was := d.state
	if was == stateEnded {
		return false
	}
	d.state, d.token = stateEnded, ""
	delete(f.bind, d)
	switch was {
	case stateLeaving:
	case stateLive:
		f.count.Live--
		f.count.Broken[why]++
	default:
		f.count.Refused[why]++
		if _, in := f.open[d]; in {
			delete(f.open, d)
			<-f.slots
		}
	}
	return false
}
