package wire

import (
	"encoding/binary"

	"longlink/pkg/code"
)

// Flags of PUSH, ACK and UP.
const (
	// FlagBroadcast: the frame has a place, and seq counts in the broadcast log.
	FlagBroadcast = 1 << 0
	// FlagText and FlagJSON say what the payload is; neither: bytes.
	FlagText = 1 << 1
	FlagJSON = 1 << 2
	// FlagFirst, of UP only: nothing of the product with a lower up_id is
	// unanswered, so this one may begin or go on the order after a refusal.
	FlagFirst = 1 << 3
)

// Push is one message to the device. Slices of a parsed Push point into the
// parsed buffer.
//
//	flags u8, product s8, seq u64, [place u16], id s8, ext, payload
//
// seq 0 is qos 0: it is never acknowledged. ext holds:
//
//	1 data          fields, repeated: 1 key text, 2 value text
//	2 collapse_key  text
//	3 in_reply_to   u64: the up_id that this answers
type Push struct {
	Flags     uint8
	Product   []byte
	Seq       uint64
	Place     uint16 // with FlagBroadcast
	ID        []byte
	Ext       []byte // encoded fields: see AppendData
	Payload   []byte
	InReplyTo uint64 // only read: encoded in Ext
}

// AppendPush appends the frame. It does not allocate when dst has room. Product
// and ID must be at most 255 bytes.
func AppendPush(dst []byte, p *Push) []byte {
	n := 1 + 1 + len(p.Product) + sizePosition(p.Flags) + 1 + len(p.ID) + sizeUvarint3(len(p.Ext)) + len(p.Ext) + len(p.Payload)
	dst = appendHead(dst, TypePush, n)
	dst = append(dst, p.Flags, byte(len(p.Product)))
	dst = append(dst, p.Product...)
	dst = binary.BigEndian.AppendUint64(dst, p.Seq)
	if p.Flags&FlagBroadcast != 0 {
		dst = binary.BigEndian.AppendUint16(dst, p.Place)
	}
	dst = append(dst, byte(len(p.ID)))
	dst = append(dst, p.ID...)
	dst = appendUvarint3(dst, len(p.Ext))
	dst = append(dst, p.Ext...)
	return append(dst, p.Payload...)
}

// PushOverhead bounds what AppendPush adds to product, id, ext and payload.
const PushOverhead = MaxHeader + 1 + 1 + 8 + 2 + 1 + 3

// ParsePush decodes a PUSH body without copying or allocating.
func ParsePush(body []byte) (p Push, err *code.Error) {
	if len(body) < 1 {
		return p, errMalformed
	}
	p.Flags = body[0]
	if p.Product, body, err = name(body[1:]); err != nil {
		return p, err
	}
	if p.Seq, p.Place, body, err = position(body, p.Flags); err != nil {
		return p, err
	}
	var ok bool
	if p.ID, body, ok = s8(body); !ok {
		return p, errMalformed
	}
	if p.Ext, p.Payload, ok = ext(body); !ok {
		return p, errMalformed
	}
	r := fieldReader{b: p.Ext}
	for {
		ok, err := r.next()
		if err != nil || !ok {
			return p, err
		}
		if r.id == 3 {
			if p.InReplyTo, err = r.uint(^uint64(0)); err != nil {
				return p, err
			}
		}
	}
}

// sizePosition is the length of seq and place.
func sizePosition(flags uint8) int {
	if flags&FlagBroadcast != 0 {
		return 10
	}
	return 8
}

// position reads seq and, with FlagBroadcast, the place.
func position(b []byte, flags uint8) (seq uint64, place uint16, rest []byte, err *code.Error) {
	n := sizePosition(flags)
	if len(b) < n {
		return 0, 0, nil, errMalformed
	}
	seq = binary.BigEndian.Uint64(b)
	if n == 10 {
		place = binary.BigEndian.Uint16(b[8:])
	}
	if seq>>63 != 0 {
		return 0, 0, nil, errInteger
	}
	return seq, place, b[n:], nil
}

func ext(b []byte) (val, rest []byte, ok bool) {
	v, n, ok := uvarint3(b)
	if !ok || n == 0 || v > len(b)-n {
		return nil, nil, false
	}
	return b[n : n+v], b[n+v:], true
}

// AppendData appends one key and value of the data map to a Push's Ext.
func AppendData(ext []byte, key, value string) []byte {
	ext, at := beginNested(ext, 1)
	ext = appendString(ext, 1, key)
	ext = appendString(ext, 2, value)
	return endNested(ext, at)
}

// AppendCollapseKey appends the collapse key to a Push's Ext.
func AppendCollapseKey(ext []byte, key string) []byte { return appendString(ext, 2, key) }

// AppendInReplyTo appends the answered up_id to a Push's Ext.
func AppendInReplyTo(ext []byte, upID uint64) []byte { return appendUint(ext, 3, upID) }

// CollapseKey reads the collapse key out of a parsed Push; "" when there is none.
func (p *Push) CollapseKey() string {
	r := fieldReader{b: p.Ext}
	for {
		ok, err := r.next()
		if err != nil || !ok {
			return ""
		}
		if r.id == 2 {
			return string(r.val)
		}
	}
}

// Data reads the data map out of a parsed Push; nil when there is none.
func (p *Push) Data() map[string]string {
	var m map[string]string
	r := fieldReader{b: p.Ext}
	for {
		ok, err := r.next()
		if err != nil || !ok {
			return m
		}
		if r.id != 1 {
			continue
		}
		var k, v string
		e := fieldReader{b: r.val}
		for {
			ok, err := e.next()
			if err != nil || !ok {
				break
			}
			switch e.id {
			case 1:
				k = string(e.val)
			case 2:
				v = string(e.val)
			}
		}
		if m == nil {
			m = make(map[string]string)
		}
		m[k] = v
	}
}

// Ack is cumulative: everything of the lane up to seq, or of the place up to
// seq, is consumed. The product of a parsed Ack points into the buffer.
//
//	flags u8, product s8, seq u64, [place u16]
type Ack struct {
	Flags   uint8
	Product []byte
	Seq     uint64
	Place   uint16
}

// AppendAck appends the frame.
func AppendAck(dst []byte, a *Ack) []byte {
	dst = appendHead(dst, TypeAck, 1+1+len(a.Product)+sizePosition(a.Flags))
	dst = append(dst, a.Flags, byte(len(a.Product)))
	dst = append(dst, a.Product...)
	dst = binary.BigEndian.AppendUint64(dst, a.Seq)
	if a.Flags&FlagBroadcast != 0 {
		dst = binary.BigEndian.AppendUint16(dst, a.Place)
	}
	return dst
}

// ParseAck decodes an ACK body without copying or allocating.
func ParseAck(body []byte) (a Ack, err *code.Error) {
	if len(body) < 1 {
		return a, errMalformed
	}
	a.Flags = body[0]
	if a.Product, body, err = name(body[1:]); err != nil {
		return a, err
	}
	a.Seq, a.Place, _, err = position(body, a.Flags)
	return a, err
}
