package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"unicode/utf8"

	"longlink/pkg/sdk"
)

// printer writes what devices see, for people or as one JSON object per line.
// Lines of several devices never mix.
type printer struct {
	json bool

	mu sync.Mutex
	w  io.Writer
}

func (p *printer) line(object map[string]any, format string, args ...any) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.json {
		_, err := fmt.Fprintf(p.w, format+"\n", args...)
		return err
	}
	b, err := json.Marshal(object)
	if err == nil {
		_, err = p.w.Write(append(b, '\n'))
	}
	return err
}

// message is the app's handler: an error, such as a closed pipe, leaves the
// message unacknowledged.
func (p *printer) message(device string, m sdk.Message) error {
	o := map[string]any{"type": "message", "device": device, "product": m.Product, "id": m.ID, "seq": m.Seq, "broadcast": m.Broadcast}
	if len(m.Data) > 0 {
		o["data"] = m.Data
	}
	text := string(m.Payload)
	switch {
	case m.JSON && json.Valid(m.Payload):
		o["json"] = json.RawMessage(m.Payload)
	case m.Text:
		o["text"] = text
	default:
		o["payload"] = m.Payload
		if !utf8.Valid(m.Payload) {
			text = fmt.Sprintf("%d bytes", len(m.Payload))
		}
	}
	return p.line(o, "%s  %s  %s", device, m.Product, text)
}

// What follows reports on the connection; a line that cannot be written is
// nobody's to mend.

func (p *printer) connected(c sdk.Connected) {
	_ = p.line(map[string]any{"type": "connected", "device": c.Device, "room": c.Room, "session": c.Session, "resumed": c.Resumed},
		"%s  connected to %s at %s", c.Device, c.Room, c.Addr)
}

func (p *printer) disconnected(d sdk.Disconnected) {
	_ = p.line(map[string]any{"type": "disconnected", "device": d.Device, "code": d.Code.String(), "reason": d.Reason},
		"%s  disconnected: %s %s", d.Device, d.Code, d.Reason)
}

func (p *printer) redirect(r sdk.Redirect) {
	_ = p.line(map[string]any{"type": "redirect", "device": r.Device, "addresses": r.Addresses, "code": r.Code.String(), "delay_ms": r.Delay.Milliseconds()},
		"%s  moves to %v in %s", r.Device, r.Addresses, r.Delay)
}

func (p *printer) bound(b sdk.Bound) {
	if b.Code == 0 {
		return
	}
	_ = p.line(map[string]any{"type": "bound", "device": b.Device, "product": b.Product, "code": b.Code.String(), "reason": b.Message},
		"%s  %s not bound: %s %s", b.Device, b.Product, b.Code, b.Message)
}
