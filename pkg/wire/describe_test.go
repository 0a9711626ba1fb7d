package wire

import "encoding/hex"

// description is a frame in the JSON of docs/protocol.md; set leaves zero
// values out.
type description map[string]any

func set[T comparable](d description, key string, v T) {
	var zero T
	if v != zero {
		d[key] = v
	}
}

// describe says what a decoded frame means.
func describe(v any) map[string]any {
	d := description{}
	switch f := v.(type) {
	case Hello:
		set(d, "version", f.Version)
		set(d, "features", f.Features)
		set(d, "device", f.Device)
		set(d, "token", f.Token)
		var list []any
		for _, b := range f.Bindings {
			list = append(list, describe(b))
		}
		if list != nil {
			d["bindings"] = list
		}
		set(d, "network", f.Network)
		set(d, "epoch", f.Epoch)
		set(d, "resume", hex.EncodeToString(f.Resume))
		set(d, "client", f.Client)
		set(d, "heartbeat_ms", f.HeartbeatMS)
	case Binding:
		set(d, "product", f.Product)
		if f.Tags != nil {
			d["tags"] = f.Tags
		}
		set(d, "cursor", f.Cursor)
		set(d, "base", f.Base)
		set(d, "has_base", f.HasBase)
		set(d, "grant", f.Grant)
		var seen [][2]uint64
		for _, s := range f.Seen {
			seen = append(seen, [2]uint64{uint64(s.Place), s.Seq})
		}
		if seen != nil {
			d["seen"] = seen
		}
	case Welcome:
		set(d, "version", f.Version)
		set(d, "features", f.Features)
		set(d, "session", f.Session)
		set(d, "room", f.Room)
		set(d, "heartbeat_ms", f.HeartbeatMS)
		set(d, "heartbeat_min_ms", f.HeartbeatMinMS)
		set(d, "heartbeat_max_ms", f.HeartbeatMaxMS)
		set(d, "max_frame", f.MaxFrame)
		set(d, "window", f.Window)
		set(d, "resume", hex.EncodeToString(f.Resume))
		set(d, "resumed", f.Resumed)
		set(d, "parking_ms", f.ParkingMS)
	case Bound:
		set(d, "product", f.Product)
		set(d, "code", uint16(f.Code))
		set(d, "retry_ms", f.RetryMS)
		set(d, "cursor", f.Cursor)
		set(d, "base", f.Base)
		set(d, "message", f.Message)
	case string: // UNBIND
		set(d, "product", f)
	case Push:
		set(d, "flags", f.Flags)
		set(d, "product", string(f.Product))
		set(d, "seq", f.Seq)
		set(d, "place", f.Place)
		set(d, "id", string(f.ID))
		set(d, "payload", string(f.Payload))
		set(d, "in_reply_to", f.InReplyTo)
		set(d, "collapse_key", f.CollapseKey())
		if data := f.Data(); data != nil {
			d["data"] = data
		}
	case Ack:
		set(d, "flags", f.Flags)
		set(d, "product", string(f.Product))
		set(d, "seq", f.Seq)
		set(d, "place", f.Place)
	case Up:
		set(d, "flags", f.Flags)
		set(d, "up_id", f.UpID)
		set(d, "product", string(f.Product))
		set(d, "kind", string(f.Kind))
		set(d, "payload", string(f.Payload))
	case UpAck:
		set(d, "up_id", f.UpID)
		set(d, "code", uint16(f.Code))
		set(d, "retry_ms", f.RetryMS)
	case Redirect:
		if f.Addresses != nil {
			d["addresses"] = f.Addresses
		}
		set(d, "spread_ms", f.SpreadMS)
		set(d, "code", uint16(f.Code))
	case Bye:
		set(d, "code", uint16(f.Code))
		set(d, "retry_ms", f.RetryMS)
		set(d, "message", f.Message)
	}
	return d
}
