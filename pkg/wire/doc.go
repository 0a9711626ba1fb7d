// Package wire is the protocol between a device and a room: compact binary
// frames over TCP. docs/protocol.md is the same for people who write a device
// in another language; this package and that page are held together by tests.
//
// # The flow
//
//	device                                   room
//	HELLO  token, bindings, cursors  ─────►
//	                                 ◄─────  WELCOME  session, heartbeat, window
//	                                 ◄─────  BOUND    one per product: code, cursor
//	                                 ◄─────  PUSH …   in order per lane
//	ACK    product, seq (cumulative) ─────►
//	PING                             ─────►
//	                                 ◄─────  PONG
//	BIND / UNBIND                    ─────►  answered by BOUND
//	UP     product, kind, body       ─────►
//	                                 ◄─────  UPACK    code, retry_ms
//	                                 ◄─────  REDIRECT addresses (move at your pace)
//	BYE    code                      ◄────►  BYE      code, retry_ms
//
// # Frames
//
// Every frame is: type (1 byte), length of the body (unsigned LEB128, 1-3
// bytes), body. Integers of fixed width are big-endian. An unknown type is
// skipped by its length.
//
//	type  name      from    body
//	0x01  HELLO     device  version u8, features u32, fields
//	0x02  WELCOME   room    version u8, features u32, fields
//	0x03  BOUND     room    fields
//	0x04  BIND      device  fields (a binding)
//	0x05  UNBIND    device  fields
//	0x06  PING      both    empty; the other side answers PONG at once
//	0x07  PONG      both    empty
//	0x08  PUSH      room    flags u8, product s8, seq u64, [place u16], id s8, ext, payload
//	0x09  ACK       device  flags u8, product s8, seq u64, [place u16]
//	0x0A  UP        device  flags u8, up_id u64, product s8, kind s8, ext, payload
//	0x0B  UPACK     room    up_id u64, code u16, retry_ms u32
//	0x0C  REDIRECT  room    fields
//	0x0D  BYE       both    code u16, retry_ms u32, fields
//
// s8 is a length byte and that many bytes. [place] is there when the flag
// Broadcast is set. ext is a LEB128 length and that many bytes of fields.
// Bytes after the last known part of a body are skipped.
//
// # Fields
//
// fields are a list of: id (1 byte), length (LEB128, 1-3 bytes), value. A value
// is text (UTF-8), bytes, an unsigned big-endian integer of 0 to 8 bytes, or
// again fields. Unknown ids are skipped; a field that may occur several times
// is marked "repeated" where it is defined.
package wire
