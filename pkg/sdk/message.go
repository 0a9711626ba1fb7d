package sdk

import (
	"bytes"

	"longlink/pkg/wire"
)

// Message is what a backend pushed. The handler owns it.
type Message struct {
	Product   string
	ID        string // names the push; the same for every device that got it
	Seq       uint64 // position in its lane; 0 for qos 0, which is never repeated
	Broadcast bool
	Place     uint16 // of a broadcast
	Text      bool   // Payload is UTF-8 text
	JSON      bool   // Payload is a JSON document
	Payload   []byte
	Data      map[string]string
	// CollapseKey: of messages with the same one only the newest is kept.
	CollapseKey string
	InReplyTo   uint64 // the up_id of the Send that this answers, else 0
}

// newMessage copies p, whose slices belong to the read buffer.
func newMessage(p *wire.Push) Message {
	return Message{
		Product:   string(p.Product),
		ID:        string(p.ID),
		Seq:       p.Seq,
		Broadcast: p.Flags&wire.FlagBroadcast != 0,
		Place:     p.Place,
		Text:      p.Flags&wire.FlagText != 0,
		JSON:      p.Flags&wire.FlagJSON != 0,
		Payload:   bytes.Clone(p.Payload),
		Data:      p.Data(),
		InReplyTo: p.InReplyTo, CollapseKey: p.CollapseKey(),
	}
}
