package wire

import (
	"bytes"
	"math"
	"reflect"
	"testing"

	"longlink/pkg/code"
)

// codec is one frame type's encoder and decoder in a common form.
type codec struct {
	parse  func(body []byte) (any, *code.Error)
	append func(v any) []byte
}

func both[T any](parse func([]byte) (T, *code.Error), enc func([]byte, *T) []byte) codec {
	return codec{
		parse:  func(b []byte) (any, *code.Error) { v, err := parse(b); return v, err },
		append: func(v any) []byte { t := v.(T); return enc(nil, &t) },
	}
}

// codecs are all frame types that have a body.
var codecs = map[Type]codec{
	TypeHello:   both(ParseHello, AppendHello),
	TypeWelcome: both(ParseWelcome, AppendWelcome),
	TypeBound:   both(ParseBound, AppendBound),
	TypeBind:    both(ParseBinding, AppendBind),
	TypeUnbind: both(ParseUnbind, func(dst []byte, p *string) []byte {
		return AppendUnbind(dst, *p)
	}),
	TypePush:     both(ParsePush, AppendPush),
	TypeAck:      both(ParseAck, AppendAck),
	TypeUp:       both(ParseUp, AppendUp),
	TypeUpAck:    both(ParseUpAck, AppendUpAck),
	TypeRedirect: both(ParseRedirect, AppendRedirect),
	TypeBye:      both(ParseBye, AppendBye),
}

// now is a seq as rooms give them: microseconds since 1970.
const now = 1_790_000_000_123_456

// packets is the case table: every frame empty, typical and full.
var packets = []struct {
	name string
	t    Type
	v    any
}{
	{"hello least", TypeHello, Hello{Version: 1, Device: "d", Token: "t"}},
	{"hello full", TypeHello, Hello{
		Version: 255, Features: math.MaxUint32, Device: "d-1", Token: "a.b.c", Network: "5g", Epoch: math.MaxInt64,
		Resume: []byte{0, 1, 2}, Client: "test/1", HeartbeatMS: math.MaxUint32,
		Bindings: []Binding{
			{Product: "p"},
			{Product: "q", Tags: []string{"a", "b"}, Cursor: now, HasBase: true, Base: now - 1, Seen: []Seen{{0, 1}, {65535, math.MaxInt64}}, Grant: "g.g.g"},
		},
	}},
	{"welcome least", TypeWelcome, Welcome{Version: 1}},
	{"welcome full", TypeWelcome, Welcome{Version: 1, Features: 0xF, Session: math.MaxInt64, Room: "room-h-7001", HeartbeatMS: 300_000,
		HeartbeatMinMS: 1, HeartbeatMaxMS: math.MaxUint32, MaxFrame: 81920, Window: 32, Resume: []byte("r"), Resumed: true, ParkingMS: 60_000}},
	{"bound ok", TypeBound, Bound{Product: "p", Cursor: now, Base: 5}},
	{"bound refused", TypeBound, Bound{Product: "p", Code: code.ProductNotGranted, Message: "no"}},
	{"bound retry", TypeBound, Bound{Product: "p", Code: code.Unavailable, RetryMS: math.MaxUint32}},
	{"bind", TypeBind, Binding{Product: "p", Tags: []string{"x"}, Cursor: 1}},
	{"unbind", TypeUnbind, "p"},
	{"push qos 0", TypePush, Push{Product: []byte("p"), ID: []byte{}, Ext: []byte{}, Payload: []byte{}}},
	{"push", TypePush, Push{Flags: FlagText, Product: []byte("p"), Seq: now, ID: []byte("01K"), Ext: []byte{}, Payload: []byte("hi")}},
	{"push broadcast", TypePush, Push{Flags: FlagBroadcast | FlagJSON, Product: []byte("p"), Seq: math.MaxInt64, Place: 65535, ID: []byte("b"),
		Ext: AppendInReplyTo(AppendCollapseKey(AppendData(nil, "k", "v"), "c"), math.MaxUint64), InReplyTo: math.MaxUint64, Payload: []byte("{}")}},
	{"push of 64 KiB", TypePush, Push{Product: []byte("p"), Seq: 1, ID: []byte("i"), Ext: []byte{}, Payload: bytes.Repeat([]byte{7}, 64<<10)}},
	{"ack", TypeAck, Ack{Product: []byte("p"), Seq: now}},
	{"ack broadcast", TypeAck, Ack{Flags: FlagBroadcast, Product: bytes.Repeat([]byte("p"), 64), Seq: 1, Place: 3}},
	{"up", TypeUp, Up{Flags: FlagJSON, UpID: math.MaxUint64, Product: []byte("p"), Kind: []byte("click"), Ext: []byte{9, 1, 1}, Payload: []byte("{}")}},
	{"upack", TypeUpAck, UpAck{UpID: 7, Code: code.Hold, RetryMS: 5000}},
	{"redirect least", TypeRedirect, Redirect{}},
	{"redirect", TypeRedirect, Redirect{Addresses: []string{"h:1", "[::1]:2"}, SpreadMS: 9000, Code: code.Draining}},
	{"bye", TypeBye, Bye{}},
	{"bye with words", TypeBye, Bye{Code: code.Replaced, RetryMS: 10_000, Message: "elsewhere"}},
}

// decode takes one whole frame apart.
func decode(t *testing.T, frame []byte) (Type, []byte) {
	t.Helper()
	typ, body, n, err := Header(frame, MaxBody)
	if err != nil || n == 0 || n+body != len(frame) {
		t.Fatalf("head of %x: type %s, body %d, head %d, %v", frame[:min(len(frame), 8)], typ, body, n, err)
	}
	return typ, frame[n:]
}

func TestEveryFrameSurvivesTheRoundTrip(t *testing.T) {
	seen := map[Type]bool{}
	for _, p := range packets {
		seen[p.t] = true
		frame := codecs[p.t].append(p.v)
		typ, body := decode(t, frame)
		got, err := codecs[typ].parse(body)
		if err != nil || typ != p.t || !reflect.DeepEqual(got, p.v) {
			t.Errorf("%s: got %s %+v, %v; want %+v", p.name, typ, got, err, p.v)
		}
		for cut := range min(len(frame), 200) { // a head is never misread while it is short
			if _, body, n, err := Header(frame[:cut], MaxBody); err != nil || n != 0 && n+body != len(frame) {
				t.Fatalf("%s: head of the first %d bytes: %d+%d, %v", p.name, cut, n, body, err)
			}
		}
	}
	for typ := range codecs {
		if !seen[typ] {
			t.Errorf("no case for %s", typ)
		}
	}
}

func TestLengthsAreMinimal(t *testing.T) {
	for _, n := range []int{0, 1, 127, 128, 16383, 16384, 64 << 10} {
		p := Push{Product: []byte("p"), ID: []byte{}, Payload: make([]byte, n)}
		frame := AppendPush([]byte("before"), &p)[6:]
		_, body, head, err := Header(frame, MaxBody)
		if err != nil || head != 1+sizeUvarint3(body) || head+body != len(frame) {
			t.Errorf("payload %d: head %d, body %d of %d, %v", n, head, body, len(frame), err)
		}
		u := Bye{Message: string(p.Payload)} // by way of endFrame
		frame = AppendBye([]byte("before"), &u)[6:]
		_, body = 0, 0
		_, body, head, err = Header(frame, MaxBody)
		if got, _ := ParseBye(frame[head:]); err != nil || head != 1+sizeUvarint3(body) || got != u {
			t.Errorf("message %d: head %d, body %d of %d, %v", n, head, body, len(frame), err)
		}
	}
}

// The length of a frame and of a field may be written in more bytes than needed.
func TestLongLengthsAreRead(t *testing.T) {
	frame := []byte{byte(TypeUnbind), 0x85, 0x80, 0x00, 1, 0x81, 0x80, 0x00, 'p'}
	_, body := decode(t, frame)
	if p, err := ParseUnbind(body); err != nil || p != "p" {
		t.Fatalf("%q, %v", p, err)
	}
}

func TestHeartbeatIsTwoBytes(t *testing.T) {
	for want, frame := range map[Type][]byte{TypePing: PingFrame, TypePong: PongFrame} {
		if typ, body := decode(t, frame); typ != want || len(body) != 0 || len(frame) != 2 {
			t.Errorf("%s: %x", want, frame)
		}
	}
}

func TestData(t *testing.T) {
	p := Push{Product: []byte("p"), Ext: AppendData(AppendCollapseKey(AppendData(nil, "a", "1"), "c"), "b", "")}
	_, body := decode(t, AppendPush(nil, &p))
	got, err := ParsePush(body)
	if want := map[string]string{"a": "1", "b": ""}; err != nil || !reflect.DeepEqual(got.Data(), want) {
		t.Fatalf("%v, %v", got.Data(), err)
	}
	if (&Push{}).Data() != nil {
		t.Fatal("data out of nothing")
	}
}
