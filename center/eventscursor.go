package center

import (
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"

	"longlink/pkg/code"
	"longlink/pkg/slot"
)

// partitions is how many logs the upstream data of the devices is spread over.
const partitions = slot.Count / slot.PerTag

// positions is how far a follower has looked at each partition's log: a seq, 0
// before the first.
type positions [partitions]uint64

const (
	cursorVersion = 1
	// maxCursor bounds what is decoded. A cursor has 2,749 characters at most
	// while seqs are microseconds of this century.
	maxCursor = 4096
	// maxSeq is far above every seq, and sums of two do not overflow.
	maxSeq = 1 << 62
)

// cursor is the positions as callers keep them: in URL-safe base64 a version,
// the lowest position above 0, then for each partition 0 for 0, else its
// distance from the lowest plus 1, all of them varints; and a CRC-32, because a
// cursor that was mangled on its way would leave events out.
func (p *positions) cursor() string {
	var base uint64
	for _, seq := range p {
		if seq > 0 && (base == 0 || seq < base) {
			base = seq
		}
	}
	b := make([]byte, 1, 1+9+partitions*8+4)
	b[0] = cursorVersion
	b = binary.AppendUvarint(b, base)
	for _, seq := range p {
		if seq > 0 {
			seq += 1 - base
		}
		b = binary.AppendUvarint(b, seq)
	}
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	return base64.RawURLEncoding.EncodeToString(b)
}

// parsePositions reads a cursor.
func parsePositions(cursor string) (p positions, err *code.Error) {
	bad := code.Invalid("cursor", "is not one that this call has given, or not all of it; begin anew with since")
	if len(cursor) > maxCursor {
		return p, bad
	}
	b, derr := base64.RawURLEncoding.DecodeString(cursor)
	if derr != nil || len(b) < 1+4 || b[0] != cursorVersion {
		return p, bad
	}
	sum := len(b) - 4
	if binary.BigEndian.Uint32(b[sum:]) != crc32.ChecksumIEEE(b[:sum]) {
		return p, bad
	}
	b = b[1:sum]
	next := func() (v uint64, ok bool) {
		v, n := binary.Uvarint(b)
		if n <= 0 || v > maxSeq {
			return 0, false
		}
		b = b[n:]
		return v, true
	}
	base, ok := next()
	for i := range p {
		var v uint64
		if v, ok = next(); !ok {
			return p, bad
		}
		if v > 0 {
			p[i] = base + v - 1
		}
	}
	if len(b) > 0 || !ok {
		return p, bad
	}
	return p, nil
}
