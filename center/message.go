package center

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"slices"
	"time"

	"github.com/oklog/ulid/v2"

	"longlink/pkg/api"
	"longlink/pkg/code"
	"longlink/pkg/wire"
)

// encode checks a push's message and encodes it, once for all its devices.
func encode(r *api.PushRequest, now time.Time) (*api.Message, *code.Error) {
	m := &api.Message{Qos: 1, CollapseKey: r.CollapseKey, DedupId: r.DedupId, AcceptedMs: now.UnixMilli()}
	if r.Qos != nil {
		if m.Qos = *r.Qos; m.Qos > 1 {
			return nil, code.Invalid("qos", "must be 0 or 1")
		}
	}
	if err := checkOptions(r, m.Qos); err != nil {
		return nil, err
	}
	ttl := time.Duration(r.TtlMs) * time.Millisecond
	if r.TtlMs == 0 {
		ttl = defaultTTL
	}
	if r.TtlMs < 0 || ttl < minTTL || r.TtlMs > maxTTL.Milliseconds() {
		return nil, code.Invalid("ttl", "must be between 1s and 720h")
	}
	m.ExpiresMs = now.Add(ttl).UnixMilli()
	if err := encodePayload(m, r); err != nil {
		return nil, err
	}
	if err := encodeData(m, r.Data); err != nil {
		return nil, err
	}
	m.Ext = wire.AppendCollapseKey(m.Ext, r.CollapseKey)
	m.Id = messageID(r.Product, r.DedupId)
	return m, nil
}

func checkOptions(r *api.PushRequest, qos uint32) *code.Error {
	for field, id := range map[string]string{"collapse_key": r.CollapseKey, "dedup_id": r.DedupId} {
		if id == "" {
			continue
		}
		if qos == 0 {
			return code.Invalid(field, "needs qos 1: a qos 0 message is not stored")
		}
		if err := checkID(field, id); err != nil {
			return err
		}
	}
	switch {
	case r.WaitMs < 0 || r.WaitMs > maxWait.Milliseconds():
		return code.Invalid("wait", "must be between 0s and 60s")
	case r.WaitMs > 0 && qos == 0:
		return code.Invalid("wait", "needs qos 1: a qos 0 message is never acknowledged")
	}
	return nil
}

func encodePayload(m *api.Message, r *api.PushRequest) *code.Error {
	var fields []string
	if r.Text != nil {
		fields, m.Flags, m.Payload = append(fields, "text"), wire.FlagText, []byte(*r.Text)
	}
	if r.Json != nil {
		fields, m.Flags, m.Payload = append(fields, "json"), wire.FlagJSON, []byte(*r.Json)
	}
	if r.Payload != nil {
		fields, m.Flags, m.Payload = append(fields, "payload"), 0, r.Payload
	}
	switch {
	case len(fields) == 0:
		return code.Invalid("text", "give one of text, json and payload")
	case len(fields) > 1:
		return code.Invalid(fields[1], "give only one of text, json and payload, not %s as well", fields[0])
	case len(m.Payload) > maxPayload:
		return code.Errorf(code.PayloadTooLarge, "%d bytes, at most %d are taken; send less, or a link", len(m.Payload), maxPayload).WithField(fields[0])
	case fields[0] == "json" && !json.Valid(m.Payload):
		return code.Invalid("json", "is not valid JSON")
	}
	return nil
}

// encodeData writes the data map in the order of its keys, so that equal maps
// are equal bytes.
func encodeData(m *api.Message, data map[string]string) *code.Error {
	if len(data) > maxDataEntries {
		return code.Invalid("data", "has %d entries, at most %d are taken", len(data), maxDataEntries)
	}
	keys, size := make([]string, 0, len(data)), 0
	for k, v := range data {
		if k == "" {
			return code.Invalid("data", "a key is empty")
		}
		keys, size = append(keys, k), size+len(k)+len(v)
	}
	if size > maxDataBytes {
		return code.Invalid("data", "has %d bytes of keys and values, at most %d are taken", size, maxDataBytes)
	}
	slices.Sort(keys)
	for _, k := range keys {
		m.Ext = wire.AppendData(m.Ext, k, data[k])
	}
	return nil
}

// messageID names a push: a ULID, or with a dedup_id what every repetition of
// the push gets too, 128 bits of SHA-256 over product and dedup_id.
func messageID(product, dedup string) string {
	if dedup == "" {
		return ulid.Make().String()
	}
	sum := sha256.Sum256([]byte(product + "\x00" + dedup))
	return "d-" + base64.RawURLEncoding.EncodeToString(sum[:16])
}
