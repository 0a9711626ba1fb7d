package wire

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"longlink/pkg/code"
)

// field writes a field with any value.
func field(id byte, val ...byte) []byte { return appendField(nil, id, val) }

func cat(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

var helloHead = []byte{1, 0, 0, 0, 0}

func TestMalformedBodies(t *testing.T) {
	nine := make([]byte, 9)
	big := bytes.Repeat([]byte{0xff}, 8)
	dev, tok := field(1, 'd'), field(2, 't')
	many := func(n int, f []byte) []byte { return bytes.Repeat(f, n) }
	for _, c := range []struct {
		name string
		t    Type
		body []byte
		want code.Code
	}{
		{"hello empty", TypeHello, nil, code.Malformed},
		{"hello of version 0", TypeHello, cat([]byte{0, 0, 0, 0, 0}, dev, tok), code.VersionUnsupported},
		{"hello without device", TypeHello, cat(helloHead, tok), code.Malformed},
		{"hello without token", TypeHello, cat(helloHead, dev), code.TokenInvalid},
		{"hello, device too long", TypeHello, cat(helloHead, tok, field(1, make([]byte, 65)...)), code.Malformed},
		{"hello, field cut in its head", TypeHello, cat(helloHead, dev, tok, []byte{9}), code.Malformed},
		{"hello, field longer than the rest", TypeHello, cat(helloHead, dev, tok, []byte{9, 2, 1}), code.Malformed},
		{"hello, field length of four bytes", TypeHello, cat(helloHead, dev, tok, []byte{9, 0x80, 0x80, 0x80, 0}), code.Malformed},
		{"hello, integer of nine bytes", TypeHello, cat(helloHead, dev, tok, field(5, nine...)), code.Malformed},
		{"hello, epoch beyond 63 bits", TypeHello, cat(helloHead, dev, tok, field(5, big...)), code.Malformed},
		{"hello, heartbeat beyond 32 bits", TypeHello, cat(helloHead, dev, tok, field(8, big[:5]...)), code.Malformed},
		{"hello, empty binding", TypeHello, cat(helloHead, dev, tok, field(3)), code.Malformed},
		{"hello, too many bindings", TypeHello, cat(helloHead, dev, tok, many(MaxBindings+1, field(3, field(1, 'p')...))), code.TooManyBindings},
		{"bind without product", TypeBind, field(2, 't'), code.Malformed},
		{"bind, product too long", TypeBind, field(1, make([]byte, 65)...), code.Malformed},
		{"bind, empty tag", TypeBind, cat(field(1, 'p'), field(2)), code.Malformed},
		{"bind, too many tags", TypeBind, cat(field(1, 'p'), many(MaxTags+1, field(2, 't'))), code.TooManyBindings},
		{"bind, seen of nine bytes", TypeBind, cat(field(1, 'p'), field(5, nine...)), code.Malformed},
		{"bind, seen beyond 63 bits", TypeBind, cat(field(1, 'p'), field(5, append([]byte{0, 0}, big...)...)), code.Malformed},
		{"bind, too many seen", TypeBind, cat(field(1, 'p'), many(MaxSeen+1, field(5, make([]byte, 10)...))), code.TooManyBindings},
		{"bind, cursor beyond 63 bits", TypeBind, cat(field(1, 'p'), field(3, big...)), code.Malformed},
		{"unbind empty", TypeUnbind, nil, code.Malformed},
		{"welcome short", TypeWelcome, []byte{1, 0, 0, 0}, code.Malformed},
		{"welcome, window beyond 32 bits", TypeWelcome, cat(helloHead, field(7, big[:5]...)), code.Malformed},
		{"bound without product", TypeBound, field(2, 1), code.Malformed},
		{"bound, code beyond 16 bits", TypeBound, cat(field(1, 'p'), field(2, 1, 0, 0)), code.Malformed},
		{"push empty", TypePush, nil, code.Malformed},
		{"push without product", TypePush, cat([]byte{0, 0}, nine, nine), code.Malformed},
		{"push, product too long", TypePush, cat([]byte{0, 65}, make([]byte, 100)), code.Malformed},
		{"push, product cut", TypePush, []byte{0, 5, 'p'}, code.Malformed},
		{"push, seq cut", TypePush, []byte{0, 1, 'p', 0, 0}, code.Malformed},
		{"push, seq beyond 63 bits", TypePush, cat([]byte{0, 1, 'p'}, big, []byte{0, 0}), code.Malformed},
		{"push, place cut", TypePush, cat([]byte{FlagBroadcast, 1, 'p'}, nine), code.Malformed},
		{"push, id cut", TypePush, cat([]byte{0, 1, 'p'}, nine[:8], []byte{4, 'i'}), code.Malformed},
		{"push without ext", TypePush, cat([]byte{0, 1, 'p'}, nine), code.Malformed},
		{"push, ext longer than the rest", TypePush, cat([]byte{0, 1, 'p'}, nine, []byte{3, 1, 0}), code.Malformed},
		{"push, broken ext", TypePush, cat([]byte{0, 1, 'p'}, nine, []byte{2, 1, 9}), code.Malformed},
		{"push, in_reply_to of nine bytes", TypePush, cat([]byte{0, 1, 'p'}, nine, []byte{11}, field(3, nine...)), code.Malformed},
		{"ack empty", TypeAck, nil, code.Malformed},
		{"ack without seq", TypeAck, []byte{0, 1, 'p'}, code.Malformed},
		{"ack, seq beyond 63 bits", TypeAck, cat([]byte{0, 1, 'p'}, big), code.Malformed},
		{"ack, place missing", TypeAck, cat([]byte{FlagBroadcast, 1, 'p'}, nine[:8]), code.Malformed},
		{"up short", TypeUp, nine[:8], code.Malformed},
		{"up without kind", TypeUp, cat(nine, []byte{1, 'p', 0, 0}), code.Malformed},
		{"up without ext", TypeUp, cat(nine, []byte{1, 'p', 1, 'k'}), code.Malformed},
		{"upack short", TypeUpAck, make([]byte, 13), code.Malformed},
		{"redirect, spread beyond 32 bits", TypeRedirect, field(2, big[:5]...), code.Malformed},
		{"redirect cut", TypeRedirect, []byte{1, 5, 'h'}, code.Malformed},
		{"bye short", TypeBye, make([]byte, 5), code.Malformed},
		{"bye cut", TypeBye, cat(make([]byte, 6), []byte{1, 9}), code.Malformed},
	} {
		_, err := codecs[c.t].parse(c.body)
		if err == nil || err.Code != c.want {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
}

func TestHeaderRefusesBeforeAnythingIsBuffered(t *testing.T) {
	for _, c := range []struct {
		name  string
		b     []byte
		limit int
		n     int
		want  code.Code
	}{
		{"nothing", nil, 10, 0, code.OK},
		{"type only", []byte{1}, 10, 0, code.OK},
		{"length not complete", []byte{1, 0x80}, 10, 0, code.OK},
		{"length not complete after two", []byte{1, 0xff, 0xff}, 10, 0, code.OK},
		{"at the limit", []byte{1, 10}, 10, 2, code.OK},
		{"one above", []byte{1, 11}, 10, 0, code.FrameTooLarge},
		{"largest length", []byte{1, 0xff, 0xff, 0x7f}, DefaultMaxFrame, 0, code.FrameTooLarge},
		{"length of four bytes", []byte{1, 0xff, 0xff, 0xff}, MaxBody, 0, code.FrameTooLarge},
		{"http", []byte("GET / HTTP/1.1\r\n"), DefaultMaxHello, 2, code.OK}, // 'G' is an unknown type: the state machine refuses it
	} {
		_, _, n, err := Header(c.b, c.limit)
		got := code.OK
		if err != nil {
			got = err.Code
		}
		if n != c.n || got != c.want {
			t.Errorf("%s: head %d, %s; want %d, %s", c.name, n, got, c.n, c.want)
		}
	}
}

// A newer peer's fields, and bytes behind the last known part, are skipped.
func TestUnknownPartsAreSkipped(t *testing.T) {
	extra := cat(field(200, 1, 2, 3), field(0), field(255, make([]byte, 300)...))
	for _, p := range packets {
		switch p.t {
		case TypePush, TypeUp: // the payload is the rest
			continue
		}
		_, body := decode(t, codecs[p.t].append(p.v))
		more := extra
		if p.t == TypeAck || p.t == TypeUpAck {
			more = []byte("anything at all")
		}
		got, err := codecs[p.t].parse(cat(body, more))
		if err != nil {
			t.Errorf("%s: %v", p.name, err)
			continue
		}
		if _, again := decode(t, codecs[p.t].append(got)); !bytes.Equal(again, body) {
			t.Errorf("%s: unknown fields changed it to %+v", p.name, got)
		}
	}
	p := Push{Product: []byte("p"), Seq: 1, Ext: cat(field(99, 1), AppendInReplyTo(nil, 5), field(98))}
	_, body := decode(t, AppendPush(nil, &p))
	if got, err := ParsePush(body); err != nil || got.InReplyTo != 5 {
		t.Errorf("%+v, %v", got, err)
	}
	if got := Type(0x77).String(); got != "UNKNOWN" {
		t.Errorf("type 0x77 is called %s", got)
	}
}

func TestRedirectIsBounded(t *testing.T) {
	r := Redirect{Addresses: strings.Split(strings.Repeat("h:1,", 40)+"h:1", ",")}
	_, body := decode(t, AppendRedirect(nil, &r))
	got, err := ParseRedirect(body)
	if err != nil || len(got.Addresses) != MaxAddresses {
		t.Fatalf("%d addresses, %v", len(got.Addresses), err)
	}
}

func TestParsedHelloSharesNothing(t *testing.T) {
	h := Hello{Version: 1, Device: "dev", Token: "tok", Resume: []byte("res"), Bindings: []Binding{{Product: "p", Tags: []string{"tag"}}}}
	_, body := decode(t, AppendHello(nil, &h))
	got, err := ParseHello(body)
	if err != nil {
		t.Fatal(err)
	}
	clear(body)
	binary.BigEndian.PutUint32(body, 0xdeadbeef)
	if got.Device != "dev" || got.Token != "tok" || string(got.Resume) != "res" || got.Bindings[0].Tags[0] != "tag" {
		t.Fatalf("%+v", got)
	}
}
