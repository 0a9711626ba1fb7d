package wire

import (
	"encoding/binary"
	"math"

	"longlink/pkg/code"
)

// Welcome answers a HELLO whose token is good.
//
//	version u8, features u32, then
//	1 session       u64: this session's epoch; the device stores the highest
//	2 room          text: the room's instance id
//	3 heartbeat_ms  u32: the interval to use
//	4 heartbeat_min_ms u32
//	5 heartbeat_max_ms u32
//	6 max_frame     u32: longest body either side may send from now on
//	7 window        u32: unacknowledged messages a lane may have in flight
//	8 resume        bytes: single-use token for coming back to this room
//	9 resumed       u8: 1 when the resume token of HELLO was taken
//	10 parking_ms   u32: how long the session is kept after a break
type Welcome struct {
	Version        uint8
	Features       Features
	Session        uint64
	Room           string
	HeartbeatMS    uint32
	HeartbeatMinMS uint32
	HeartbeatMaxMS uint32
	MaxFrame       uint32
	Window         uint32
	Resume         []byte
	Resumed        bool
	ParkingMS      uint32
}

// AppendWelcome appends the frame.
func AppendWelcome(dst []byte, w *Welcome) []byte {
	dst, at := beginFrame(dst, TypeWelcome)
	dst = append(dst, w.Version)
	dst = binary.BigEndian.AppendUint32(dst, uint32(w.Features))
	dst = appendUint(dst, 1, w.Session)
	dst = appendString(dst, 2, w.Room)
	dst = appendUint(dst, 3, uint64(w.HeartbeatMS))
	dst = appendUint(dst, 4, uint64(w.HeartbeatMinMS))
	dst = appendUint(dst, 5, uint64(w.HeartbeatMaxMS))
	dst = appendUint(dst, 6, uint64(w.MaxFrame))
	dst = appendUint(dst, 7, uint64(w.Window))
	dst = appendString(dst, 8, string(w.Resume))
	if w.Resumed {
		dst = appendUint(dst, 9, 1)
	}
	dst = appendUint(dst, 10, uint64(w.ParkingMS))
	return endFrame(dst, at)
}

// ParseWelcome decodes a WELCOME body.
func ParseWelcome(body []byte) (w Welcome, err *code.Error) {
	if len(body) < 5 {
		return w, errMalformed
	}
	w.Version = body[0]
	w.Features = Features(binary.BigEndian.Uint32(body[1:]))
	r := fieldReader{b: body[5:]}
	u32 := func(dst *uint32) *code.Error {
		v, err := r.uint(math.MaxUint32)
		*dst = uint32(v)
		return err
	}
	for {
		ok, err := r.next()
		if err != nil || !ok {
			return w, err
		}
		switch r.id {
		case 1:
			w.Session, err = r.uint(math.MaxInt64)
		case 2:
			w.Room = string(r.val)
		case 3:
			err = u32(&w.HeartbeatMS)
		case 4:
			err = u32(&w.HeartbeatMinMS)
		case 5:
			err = u32(&w.HeartbeatMaxMS)
		case 6:
			err = u32(&w.MaxFrame)
		case 7:
			err = u32(&w.Window)
		case 8:
			w.Resume = append([]byte(nil), r.val...)
		case 9:
			var v uint64
			v, err = r.uint(math.MaxUint8)
			w.Resumed = v != 0
		case 10:
			err = u32(&w.ParkingMS)
		}
		if err != nil {
			return w, err
		}
	}
}

// Bound says what became of one product: sent once per product of HELLO or
// BIND, after UNBIND (code UNBOUND), and when the server takes a product off
// the connection.
//
//	1 product   text
//	2 code      u16: OK, or why not
//	3 retry_ms  u32: hint when the code's action is "retry after"
//	4 cursor    u64: overrides the device's lane cursor
//	5 base      u64: overrides the device's broadcast base
//	6 message   text: for a person
type Bound struct {
	Product string
	Code    code.Code
	RetryMS uint32
	Cursor  uint64
	Base    uint64
	Message string
}

// AppendBound appends the frame.
func AppendBound(dst []byte, b *Bound) []byte {
	dst, at := beginFrame(dst, TypeBound)
	dst = appendString(dst, 1, b.Product)
	dst = appendUint(dst, 2, uint64(b.Code))
	dst = appendUint(dst, 3, uint64(b.RetryMS))
	dst = appendUint(dst, 4, b.Cursor)
	dst = appendUint(dst, 5, b.Base)
	dst = appendString(dst, 6, b.Message)
	return endFrame(dst, at)
}

// ParseBound decodes a BOUND body.
func ParseBound(body []byte) (b Bound, err *code.Error) {
	r := fieldReader{b: body}
	for {
		ok, err := r.next()
		if err != nil {
			return b, err
		}
		if !ok {
			break
		}
		var v uint64
		switch r.id {
		case 1:
			b.Product = string(r.val)
		case 2:
			v, err = r.uint(math.MaxUint16)
			b.Code = code.Code(v)
		case 3:
			v, err = r.uint(math.MaxUint32)
			b.RetryMS = uint32(v)
		case 4:
			b.Cursor, err = r.uint(math.MaxInt64)
		case 5:
			b.Base, err = r.uint(math.MaxInt64)
		case 6:
			b.Message = string(r.val)
		}
		if err != nil {
			return b, err
		}
	}
	if b.Product == "" {
		return b, errNoProduct
	}
	return b, nil
}

// AppendUnbind appends an UNBIND frame: field 1, the product.
func AppendUnbind(dst []byte, product string) []byte {
	dst, at := beginFrame(dst, TypeUnbind)
	return endFrame(appendString(dst, 1, product), at)
}

// ParseUnbind decodes an UNBIND body to the product's name.
func ParseUnbind(body []byte) (product string, err *code.Error) {
	b, err := ParseBinding(body)
	return b.Product, err
}
