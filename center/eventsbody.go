package center

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"

	"longlink/pkg/api"
	"longlink/pkg/wire"
)

// eventUpstream is the type of an event that is a device's own data.
const eventUpstream = "upstream"

// eventOf is a row of a partition's log as callers see it; nil for a class of
// rows that this version does not know. The payload is told as what its sender
// called it, text or JSON, where it is that, else as bytes.
func eventOf(part int, row *api.UpstreamRow) *api.Event {
	it := row.GetItem()
	if it == nil || row.Class != 0 {
		return nil
	}
	e := &api.Event{Id: strconv.Itoa(part) + "-" + strconv.FormatUint(row.Seq, 10), Type: eventUpstream,
		Product: it.Product, Device: it.Device, Kind: it.Kind, AtMs: it.ReceivedMs, UpId: it.UpId}
	for k, v := range (&wire.Push{Ext: it.Ext}).Data() {
		if e.Data == nil {
			e.Data = map[string]string{}
		}
		e.Data[strings.ToValidUTF8(k, "\uFFFD")] = strings.ToValidUTF8(v, "\uFFFD")
	}
	readable := utf8.Valid(it.Payload)
	switch text := string(it.Payload); {
	case readable && it.Flags&wire.FlagText != 0:
		e.Text = &text
	case readable && it.Flags&wire.FlagJSON != 0 && json.Valid(it.Payload):
		e.Json = &text
	default:
		e.Payload = append([]byte{}, it.Payload...)
	}
	return e
}

// eventBody is an event of REST; one of text, json and payload is there.
type eventBody struct {
	ID      string            `json:"id"`
	Type    string            `json:"type"`
	Product string            `json:"product"`
	Device  string            `json:"device"`
	Kind    string            `json:"kind"`
	Time    string            `json:"time"`
	UpID    uint64            `json:"up_id"`
	Text    *string           `json:"text,omitempty"`
	JSON    json.RawMessage   `json:"json,omitempty"`
	Payload *[]byte           `json:"payload,omitempty"`
	Data    map[string]string `json:"data,omitempty"`
}

func answerEvent(e *api.Event) eventBody {
	out := eventBody{ID: e.Id, Type: e.Type, Product: e.Product, Device: e.Device, Kind: e.Kind, Time: timestamp(e.AtMs), UpID: e.UpId, Text: e.Text, Data: e.Data}
	if e.Json != nil {
		out.JSON = json.RawMessage(*e.Json)
	}
	if e.Payload != nil {
		out.Payload = &e.Payload
	}
	return out
}
