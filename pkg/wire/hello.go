package wire

import (
	"encoding/binary"
	"math"

	"longlink/pkg/code"
)

// Binding is one product a device wants on its connection, with how far the
// device has consumed it. It is a field of HELLO and the whole body of BIND.
//
//	1 product     text, required
//	2 tag         text, repeated
//	3 cursor      u64: highest seq of the lane that is consumed
//	4 base        u64: broadcasts at or below are consumed
//	5 seen        10 bytes, repeated: place u16, highest consumed seq u64
//	6 grant       text: bind grant (JWT), when the token does not name the product
//	7 has_base    u8: 1 when base is to be believed (a device without broadcast
//	              cursor starts at the head of the log)
type Binding struct {
	Product string
	Tags    []string
	Cursor  uint64
	HasBase bool
	Base    uint64
	Seen    []Seen
	Grant   string
}

// Seen is how far one place of the broadcast log is consumed.
type Seen struct {
	Place uint16
	Seq   uint64
}

// Hello is a device's first frame.
//
//	version u8, features u32, then
//	1 device        text, required: must be the token's sub
//	2 token         text, required: device token (JWT)
//	3 binding       fields, repeated: see Binding
//	4 network       text: wifi 5g 4g 3g 2g wired
//	5 epoch         u64: the highest session epoch the device ever got
//	6 resume        bytes: resume token of the last WELCOME
//	7 client        text: name and version of the SDK
//	8 heartbeat_ms  u32: the interval the device would like
type Hello struct {
	Version     uint8
	Features    Features
	Device      string
	Token       string
	Bindings    []Binding
	Network     string
	Epoch       uint64
	Resume      []byte
	Client      string
	HeartbeatMS uint32
}

// MaxBindings bounds the products on one connection, MaxTags the tags of one.
const (
	MaxBindings = 64
	MaxTags     = 64
	MaxSeen     = 256
)

var (
	errTooManyBindings = code.Errorf(code.TooManyBindings, "at most 64 products, 64 tags a product and 256 seen pairs a product on one connection")
	errNoDevice        = code.Errorf(code.Malformed, "HELLO without device").WithField("device")
	errNoToken         = code.Errorf(code.TokenInvalid, "HELLO without token").WithField("token")
	errNoProduct       = code.Errorf(code.Malformed, "a binding without product").WithField("product")
)

// AppendHello appends the frame.
func AppendHello(dst []byte, h *Hello) []byte {
	dst, at := beginFrame(dst, TypeHello)
	dst = append(dst, h.Version)
	dst = binary.BigEndian.AppendUint32(dst, uint32(h.Features))
	dst = appendString(dst, 1, h.Device)
	dst = appendString(dst, 2, h.Token)
	for i := range h.Bindings {
		var n int
		dst, n = beginNested(dst, 3)
		dst = appendBinding(dst, &h.Bindings[i])
		dst = endNested(dst, n)
	}
	dst = appendString(dst, 4, h.Network)
	dst = appendUint(dst, 5, h.Epoch)
	dst = appendString(dst, 6, string(h.Resume))
	dst = appendString(dst, 7, h.Client)
	dst = appendUint(dst, 8, uint64(h.HeartbeatMS))
	return endFrame(dst, at)
}

// AppendBind appends a BIND frame.
func AppendBind(dst []byte, b *Binding) []byte {
	dst, at := beginFrame(dst, TypeBind)
	return endFrame(appendBinding(dst, b), at)
}

func appendBinding(dst []byte, b *Binding) []byte {
	dst = appendString(dst, 1, b.Product)
	for _, tag := range b.Tags {
		dst = appendString(dst, 2, tag)
	}
	dst = appendUint(dst, 3, b.Cursor)
	dst = appendUint(dst, 4, b.Base)
	for _, s := range b.Seen {
		dst = append(dst, 5, 10)
		dst = binary.BigEndian.AppendUint16(dst, s.Place)
		dst = binary.BigEndian.AppendUint64(dst, s.Seq)
	}
	dst = appendString(dst, 6, b.Grant)
	if b.HasBase {
		dst = appendUint(dst, 7, 1)
	}
	return dst
}

// ParseHello decodes a HELLO body. The result shares nothing with body. A
// version below MinVersion is VERSION_UNSUPPORTED.
func ParseHello(body []byte) (h Hello, err *code.Error) {
	if len(body) < 5 {
		return h, errMalformed
	}
	h.Version = body[0]
	if h.Version < MinVersion {
		return h, errVersion
	}
	h.Features = Features(binary.BigEndian.Uint32(body[1:]))
	r := fieldReader{b: body[5:]}
	for {
		ok, err := r.next()
		if err != nil {
			return h, err
		}
		if !ok {
			break
		}
		switch r.id {
		case 1:
			h.Device = string(r.val)
		case 2:
			h.Token = string(r.val)
		case 3:
			if len(h.Bindings) == MaxBindings {
				return h, errTooManyBindings
			}
			b, err := ParseBinding(r.val)
			if err != nil {
				return h, err
			}
			h.Bindings = append(h.Bindings, b)
		case 4:
			h.Network = string(r.val)
		case 5:
			h.Epoch, err = r.uint(math.MaxInt64)
		case 6:
			h.Resume = append([]byte(nil), r.val...)
		case 7:
			h.Client = string(r.val)
		case 8:
			var v uint64
			v, err = r.uint(math.MaxUint32)
			h.HeartbeatMS = uint32(v)
		}
		if err != nil {
			return h, err
		}
	}
	switch {
	case h.Device == "":
		return h, errNoDevice
	case len(h.Device) > MaxName:
		return h, errID
	case h.Token == "":
		return h, errNoToken
	}
	return h, nil
}

// ParseBinding decodes a BIND body or a binding field of HELLO.
func ParseBinding(body []byte) (b Binding, err *code.Error) {
	r := fieldReader{b: body}
	for {
		ok, err := r.next()
		if err != nil {
			return b, err
		}
		if !ok {
			break
		}
		switch r.id {
		case 1:
			b.Product = string(r.val)
		case 2:
			if len(b.Tags) == MaxTags {
				return b, errTooManyBindings
			}
			if len(r.val) == 0 || len(r.val) > MaxName {
				return b, errID
			}
			b.Tags = append(b.Tags, string(r.val))
		case 3:
			b.Cursor, err = r.uint(math.MaxInt64)
		case 4:
			b.Base, err = r.uint(math.MaxInt64)
		case 5:
			if len(r.val) != 10 {
				return b, errMalformed
			}
			if len(b.Seen) == MaxSeen {
				return b, errTooManyBindings
			}
			var s Seen
			if s.Seq, s.Place, err = seenPair(r.val); err == nil {
				b.Seen = append(b.Seen, s)
			}
		case 6:
			b.Grant = string(r.val)
		case 7:
			var v uint64
			v, err = r.uint(math.MaxUint8)
			b.HasBase = v != 0
		}
		if err != nil {
			return b, err
		}
	}
	switch {
	case b.Product == "":
		return b, errNoProduct
	case len(b.Product) > MaxName:
		return b, errID
	}
	return b, nil
}

func seenPair(v []byte) (seq uint64, place uint16, err *code.Error) {
	if seq = binary.BigEndian.Uint64(v[2:]); seq > math.MaxInt64 {
		return 0, 0, errInteger
	}
	return seq, binary.BigEndian.Uint16(v), nil
}
