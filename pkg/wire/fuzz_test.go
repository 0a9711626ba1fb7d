package wire

import (
	"bytes"
	"reflect"
	"testing"
)

func FuzzHeader(f *testing.F) {
	for _, p := range packets {
		f.Add(codecs[p.t].append(p.v), DefaultMaxFrame)
	}
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff}, MaxBody)
	f.Add([]byte{6, 0}, 0)
	f.Fuzz(func(t *testing.T, b []byte, limit int) {
		_, body, n, err := Header(b, limit)
		switch {
		case err != nil && n != 0:
			t.Fatalf("refused, and a head of %d", n)
		case err == nil && (n == 1 || n > MaxHeader || n > len(b) || n > 0 && body > limit):
			t.Fatalf("head %d, body %d of %d bytes with limit %d", n, body, len(b), limit)
		case n == 0 && err == nil && len(b) >= MaxHeader:
			t.Fatal("four bytes always tell")
		}
	})
}

// fuzzBody checks one frame type: no input panics, and what was read is written
// in a form that reads the same and is written the same again.
func fuzzBody(f *testing.F, typ Type) {
	f.Helper()
	for _, p := range packets {
		if p.t == typ {
			_, body, n, _ := Header(codecs[typ].append(p.v), MaxBody)
			frame := codecs[typ].append(p.v)
			f.Add(frame[n : n+body])
			f.Add(frame[n : n+body/2])
		}
	}
	f.Add([]byte{})
	f.Add([]byte{1, 0xff, 0xff, 0x7f})
	f.Add([]byte{1, 0}) // an empty first field
	f.Fuzz(func(t *testing.T, body []byte) {
		if len(body) > DefaultMaxFrame {
			return // the head refuses it
		}
		v, err := codecs[typ].parse(body)
		if err != nil {
			return
		}
		once := codecs[typ].append(v)
		_, _, n, herr := Header(once, MaxBody)
		if herr != nil || n == 0 {
			t.Fatalf("cannot read its own head: %v", herr)
		}
		again, err := codecs[typ].parse(once[n:])
		if err != nil || !reflect.DeepEqual(v, again) {
			t.Fatalf("%+v became %+v, %v", v, again, err)
		}
		if twice := codecs[typ].append(again); !bytes.Equal(once, twice) {
			t.Fatalf("%x, then %x", once, twice)
		}
	})
}

func FuzzParseHello(f *testing.F)    { fuzzBody(f, TypeHello) }
func FuzzParseWelcome(f *testing.F)  { fuzzBody(f, TypeWelcome) }
func FuzzParseBound(f *testing.F)    { fuzzBody(f, TypeBound) }
func FuzzParseBinding(f *testing.F)  { fuzzBody(f, TypeBind) }
func FuzzParseUnbind(f *testing.F)   { fuzzBody(f, TypeUnbind) }
func FuzzParsePush(f *testing.F)     { fuzzBody(f, TypePush) }
func FuzzParseAck(f *testing.F)      { fuzzBody(f, TypeAck) }
func FuzzParseUp(f *testing.F)       { fuzzBody(f, TypeUp) }
func FuzzParseUpAck(f *testing.F)    { fuzzBody(f, TypeUpAck) }
func FuzzParseRedirect(f *testing.F) { fuzzBody(f, TypeRedirect) }
func FuzzParseBye(f *testing.F)      { fuzzBody(f, TypeBye) }

// FuzzData: the data map of any ext is read or ignored, never a panic.
func FuzzData(f *testing.F) {
	f.Add(AppendData(nil, "k", "v"))
	f.Add([]byte{1, 2, 1, 9})
	f.Fuzz(func(t *testing.T, ext []byte) {
		p := Push{Ext: ext}
		if m := p.Data(); len(m) > len(ext) {
			t.Fatalf("%d entries out of %d bytes", len(m), len(ext))
		}
	})
}
