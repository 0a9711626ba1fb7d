package wire

import (
	"encoding/binary"

	"longlink/pkg/code"
)

// fieldReader walks a list of fields without copying.
type fieldReader struct {
	b   []byte
	id  byte
	val []byte
}

// next advances; false at the end or on an error.
func (r *fieldReader) next() (bool, *code.Error) {
	if len(r.b) == 0 {
		return false, nil
	}
	if len(r.b) < 2 {
		return false, errMalformed
	}
	r.id = r.b[0]
	v, n, ok := uvarint3(r.b[1:])
	if !ok || n == 0 || v > len(r.b)-1-n {
		return false, errMalformed
	}
	r.val = r.b[1+n : 1+n+v]
	r.b = r.b[1+n+v:]
	return true, nil
}

// uint reads the value as an unsigned integer of at most max.
func (r *fieldReader) uint(max uint64) (uint64, *code.Error) {
	if len(r.val) > 8 {
		return 0, errInteger
	}
	var v uint64
	for _, c := range r.val {
		v = v<<8 | uint64(c)
	}
	if v > max {
		return 0, errInteger
	}
	return v, nil
}

func appendField(dst []byte, id byte, val []byte) []byte {
	dst = append(dst, id)
	dst = appendUvarint3(dst, len(val))
	return append(dst, val...)
}

func appendString(dst []byte, id byte, val string) []byte {
	if val == "" {
		return dst
	}
	dst = append(dst, id)
	dst = appendUvarint3(dst, len(val))
	return append(dst, val...)
}

// appendUint leaves zero out: an absent integer is 0.
func appendUint(dst []byte, id byte, v uint64) []byte {
	if v == 0 {
		return dst
	}
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], v)
	i := 0
	for b[i] == 0 {
		i++
	}
	return appendField(dst, id, b[i:])
}

// beginNested and endNested write a field whose value is made in place.
func beginNested(dst []byte, id byte) ([]byte, int) {
	dst = append(dst, id, 0, 0, 0)
	return dst, len(dst)
}

func endNested(dst []byte, start int) []byte { return endFrame(dst, start) }

// s8 reads a length byte and that many bytes.
func s8(b []byte) (val, rest []byte, ok bool) {
	if len(b) == 0 || int(b[0]) > len(b)-1 {
		return nil, nil, false
	}
	n := 1 + int(b[0])
	return b[1:n], b[n:], true
}

// name is an s8 that must hold 1 to MaxName bytes.
func name(b []byte) (val, rest []byte, err *code.Error) {
	val, rest, ok := s8(b)
	if !ok {
		return nil, nil, errMalformed
	}
	if len(val) == 0 || len(val) > MaxName {
		return nil, nil, errID
	}
	return val, rest, nil
}
