package wire

import (
	"encoding/binary"
	"math"

	"longlink/pkg/code"
)

// Up is upstream data from the device. Slices of a parsed Up point into the
// parsed buffer.
//
//	flags u8, up_id u64, product s8, kind s8, ext, payload
//
// up_id is the device's own number for it, rising over all its products, since
// UPACK names nothing else; the same up_id sent again is the same data.
type Up struct {
	Flags   uint8
	UpID    uint64
	Product []byte
	Kind    []byte
	Ext     []byte
	Payload []byte
}

// Limits of one UP in bytes; a longer one is refused with PAYLOAD_TOO_LARGE.
const (
	MaxUpPayload = 64 << 10
	MaxUpExt     = 8 << 10
)

// AppendUp appends the frame.
func AppendUp(dst []byte, u *Up) []byte {
	dst = appendHead(dst, TypeUp, 1+8+1+len(u.Product)+1+len(u.Kind)+sizeUvarint3(len(u.Ext))+len(u.Ext)+len(u.Payload))
	dst = append(dst, u.Flags)
	dst = binary.BigEndian.AppendUint64(dst, u.UpID)
	dst = append(dst, byte(len(u.Product)))
	dst = append(dst, u.Product...)
	dst = append(dst, byte(len(u.Kind)))
	dst = append(dst, u.Kind...)
	dst = appendUvarint3(dst, len(u.Ext))
	dst = append(dst, u.Ext...)
	return append(dst, u.Payload...)
}

// ParseUp decodes an UP body without copying or allocating.
func ParseUp(body []byte) (u Up, err *code.Error) {
	if len(body) < 9 {
		return u, errMalformed
	}
	u.Flags, u.UpID = body[0], binary.BigEndian.Uint64(body[1:])
	if u.Product, body, err = name(body[9:]); err != nil {
		return u, err
	}
	if u.Kind, body, err = name(body); err != nil {
		return u, err
	}
	var ok bool
	if u.Ext, u.Payload, ok = ext(body); !ok {
		return u, errMalformed
	}
	return u, nil
}

// UpAck answers an Up: OK once it is stored, else why not and when to try again.
//
//	up_id u64, code u16, retry_ms u32
type UpAck struct {
	UpID    uint64
	Code    code.Code
	RetryMS uint32
}

// AppendUpAck appends the frame.
func AppendUpAck(dst []byte, u *UpAck) []byte {
	dst = appendHead(dst, TypeUpAck, 8+2+4)
	dst = binary.BigEndian.AppendUint64(dst, u.UpID)
	dst = binary.BigEndian.AppendUint16(dst, uint16(u.Code))
	return binary.BigEndian.AppendUint32(dst, u.RetryMS)
}

// ParseUpAck decodes an UPACK body.
func ParseUpAck(body []byte) (u UpAck, err *code.Error) {
	if len(body) < 14 {
		return u, errMalformed
	}
	return UpAck{
		UpID:    binary.BigEndian.Uint64(body),
		Code:    code.Code(binary.BigEndian.Uint16(body[8:])),
		RetryMS: binary.BigEndian.Uint32(body[10:]),
	}, nil
}

// Redirect asks the device to move to one of the addresses. The connection
// stays usable until the device leaves or the server's deadline closes it.
//
//	1 address    text, repeated: host:port, best first
//	2 spread_ms  u32: wait a random part of this before leaving
//	3 code       u16: why
type Redirect struct {
	Addresses []string
	SpreadMS  uint32
	Code      code.Code
}

// MaxAddresses bounds a Redirect.
const MaxAddresses = 16

// AppendRedirect appends the frame.
func AppendRedirect(dst []byte, r *Redirect) []byte {
	dst, at := beginFrame(dst, TypeRedirect)
	for _, a := range r.Addresses {
		dst = appendString(dst, 1, a)
	}
	dst = appendUint(dst, 2, uint64(r.SpreadMS))
	dst = appendUint(dst, 3, uint64(r.Code))
	return endFrame(dst, at)
}

// ParseRedirect decodes a REDIRECT body; empty addresses and those past
// MaxAddresses are skipped.
func ParseRedirect(body []byte) (d Redirect, err *code.Error) {
	r := fieldReader{b: body}
	for {
		ok, err := r.next()
		if err != nil || !ok {
			return d, err
		}
		var v uint64
		switch r.id {
		case 1:
			if len(r.val) > 0 && len(d.Addresses) < MaxAddresses {
				d.Addresses = append(d.Addresses, string(r.val))
			}
		case 2:
			v, err = r.uint(math.MaxUint32)
			d.SpreadMS = uint32(v)
		case 3:
			v, err = r.uint(math.MaxUint16)
			d.Code = code.Code(v)
		}
		if err != nil {
			return d, err
		}
	}
}

// Bye is the last frame of a connection, either way.
//
//	code u16, retry_ms u32, then
//	1 message  text: for a person
type Bye struct {
	Code    code.Code
	RetryMS uint32
	Message string
}

// AppendBye appends the frame.
func AppendBye(dst []byte, b *Bye) []byte {
	dst, at := beginFrame(dst, TypeBye)
	dst = binary.BigEndian.AppendUint16(dst, uint16(b.Code))
	dst = binary.BigEndian.AppendUint32(dst, b.RetryMS)
	dst = appendString(dst, 1, b.Message)
	return endFrame(dst, at)
}

// ParseBye decodes a BYE body.
func ParseBye(body []byte) (b Bye, err *code.Error) {
	if len(body) < 6 {
		return b, errMalformed
	}
	b.Code = code.Code(binary.BigEndian.Uint16(body))
	b.RetryMS = binary.BigEndian.Uint32(body[2:])
	r := fieldReader{b: body[6:]}
	for {
		ok, err := r.next()
		if err != nil || !ok {
			return b, err
		}
		if r.id == 1 {
			b.Message = string(r.val)
		}
	}
}
