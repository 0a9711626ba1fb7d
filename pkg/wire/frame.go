package wire

import "longlink/pkg/code"

// Version is the protocol version this package speaks. HELLO carries the
// device's highest, WELCOME the one the room chose, which is never higher.
const Version = 1

// MinVersion is the lowest version a room still accepts.
const MinVersion = 1

// Features is the bit set both sides announce; only bits both sides set are
// used on the connection.
type Features uint32

// Feature bits.
const (
	// FeatureBroadcast: the device keeps broadcast cursors (base and seen).
	FeatureBroadcast Features = 1 << 0
	// FeatureUpstream: UP and UPACK are understood.
	FeatureUpstream Features = 1 << 1
	// FeatureRedirect: REDIRECT is understood and followed.
	FeatureRedirect Features = 1 << 2
	// FeatureResume: resume tokens are understood.
	FeatureResume Features = 1 << 3
)

// Type is a frame's first byte.
type Type uint8

// The frame types.
const (
	TypeHello    Type = 0x01
	TypeWelcome  Type = 0x02
	TypeBound    Type = 0x03
	TypeBind     Type = 0x04
	TypeUnbind   Type = 0x05
	TypePing     Type = 0x06
	TypePong     Type = 0x07
	TypePush     Type = 0x08
	TypeAck      Type = 0x09
	TypeUp       Type = 0x0A
	TypeUpAck    Type = 0x0B
	TypeRedirect Type = 0x0C
	TypeBye      Type = 0x0D
)

var typeNames = [...]string{"", "HELLO", "WELCOME", "BOUND", "BIND", "UNBIND", "PING", "PONG", "PUSH", "ACK", "UP", "UPACK", "REDIRECT", "BYE"}

// String is the frame's name.
func (t Type) String() string {
	if t > 0 && int(t) < len(typeNames) {
		return typeNames[t]
	}
	return "UNKNOWN"
}

// Limits of the protocol. Rooms may configure lower ones, never higher.
const (
	// MaxBody is the longest body that three length bytes can name.
	MaxBody = 1<<21 - 1
	// DefaultMaxHello bounds a HELLO: what a stranger may make a room buffer.
	DefaultMaxHello = 32 << 10
	// DefaultMaxFrame bounds every body after HELLO, both ways: a 64 KiB
	// payload, its data map and the head.
	DefaultMaxFrame = 80 << 10
	// MaxHeader is the longest frame head.
	MaxHeader = 4
	// MaxName is the longest device id, product, tag and kind, in bytes.
	MaxName = 64
)

// Errors of the codec. They are values, so that refusing costs nothing.
var (
	errMalformed = code.Errorf(code.Malformed, "the frame's body ends early or has a bad length inside")
	errTooLarge  = code.Errorf(code.FrameTooLarge, "the frame is longer than max_frame")
	errVersion   = code.Errorf(code.VersionUnsupported, "no common protocol version")
	errInteger   = code.Errorf(code.Malformed, "an integer field has more than 8 bytes or exceeds its range")
	errID        = code.Errorf(code.Malformed, "a name is empty or longer than 64 bytes")
)

// PingFrame and PongFrame are the whole heartbeat: two bytes each way.
var (
	PingFrame = []byte{byte(TypePing), 0}
	PongFrame = []byte{byte(TypePong), 0}
)

// Header reads a frame's head from b without consuming it. n is the head's
// length and body the length that follows; n is 0 when b is too short to tell.
// A body longer than limit is refused before it is buffered (FRAME_TOO_LARGE).
func Header(b []byte, limit int) (t Type, body, n int, err *code.Error) {
	if len(b) < 2 {
		return 0, 0, 0, nil
	}
	t = Type(b[0])
	v, n, ok := uvarint3(b[1:])
	if !ok {
		return t, 0, 0, errTooLarge
	}
	if n == 0 {
		return t, 0, 0, nil
	}
	if v > limit {
		return t, v, 0, errTooLarge
	}
	return t, v, 1 + n, nil
}

// uvarint3 reads a LEB128 number of at most three bytes. n is 0 when b ends
// early; ok is false when the third byte still continues.
func uvarint3(b []byte) (v, n int, ok bool) {
	for i := 0; i < 3; i++ {
		if i == len(b) {
			return 0, 0, true
		}
		v |= int(b[i]&0x7f) << (7 * i)
		if b[i] < 0x80 {
			return v, i + 1, true
		}
	}
	return 0, 0, false
}

// appendUvarint3 appends v, which must be at most MaxBody.
func appendUvarint3(dst []byte, v int) []byte {
	for v >= 0x80 {
		dst = append(dst, byte(v)|0x80)
		v >>= 7
	}
	return append(dst, byte(v))
}

// sizeUvarint3 is how many bytes appendUvarint3 takes for v.
func sizeUvarint3(v int) int {
	switch {
	case v < 1<<7:
		return 1
	case v < 1<<14:
		return 2
	}
	return 3
}

// appendHead appends the head of a frame whose body will have n bytes: for the
// hot frames, whose size is known before they are written.
func appendHead(dst []byte, t Type, n int) []byte {
	mustFit(n)
	return appendUvarint3(append(dst, byte(t)), n)
}

// beginFrame appends a head with room for a three-byte length; endFrame writes
// the shortest form and closes the gap, so that every encoder here is one pass
// and every length minimal. (Decoders take longer forms too.)
func beginFrame(dst []byte, t Type) ([]byte, int) {
	dst = append(dst, byte(t), 0, 0, 0)
	return dst, len(dst)
}

func endFrame(dst []byte, start int) []byte {
	n := len(dst) - start
	mustFit(n)
	head := appendUvarint3(dst[:start-3], n)
	if len(head) == start {
		return dst
	}
	return append(head, dst[start:]...)
}

func mustFit(n int) {
	if n > MaxBody {
		panic("wire: frame body exceeds MaxBody; the caller checks payload limits first")
	}
}
