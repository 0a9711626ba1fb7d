package wire

import "testing"

// The room writes and reads these for every message: they must not allocate.
func TestHotPathDoesNotAllocate(t *testing.T) {
	push := Push{Flags: FlagText, Product: []byte("mail"), Seq: now, ID: []byte("01KAF"), Ext: AppendInReplyTo(AppendData(nil, "k", "v"), 7), Payload: make([]byte, 256)}
	ack := Ack{Product: []byte("mail"), Seq: now}
	up := Up{UpID: 1, Product: []byte("mail"), Kind: []byte("k"), Payload: make([]byte, 64)}
	buf := make([]byte, 0, 4096)
	pushFrame, ackFrame, upFrame := AppendPush(nil, &push), AppendAck(nil, &ack), AppendUp(nil, &up)
	_, pushBody := decode(t, pushFrame)
	_, ackBody := decode(t, ackFrame)
	_, upBody := decode(t, upFrame)
	var sink uint64
	for name, fn := range map[string]func(){
		"Header":      func() { _, n, _, _ := Header(pushFrame, DefaultMaxFrame); sink += uint64(n) },
		"Header, bad": func() { _, _, _, err := Header([]byte{1, 0xff, 0xff, 0x7f}, 10); sink += uint64(err.Code) },
		"AppendPush":  func() { buf = AppendPush(buf[:0], &push) },
		"ParsePush":   func() { p, _ := ParsePush(pushBody); sink += p.Seq },
		"ParsePush, bad": func() {
			_, err := ParsePush(pushBody[:9])
			sink += uint64(err.Code)
		},
		"AppendAck":   func() { buf = AppendAck(buf[:0], &ack) },
		"ParseAck":    func() { a, _ := ParseAck(ackBody); sink += a.Seq },
		"AppendUp":    func() { buf = AppendUp(buf[:0], &up) },
		"ParseUp":     func() { u, _ := ParseUp(upBody); sink += u.UpID },
		"AppendUpAck": func() { buf = AppendUpAck(buf[:0], &UpAck{UpID: 1}) },
		"AppendBye":   func() { buf = AppendBye(buf[:0], &Bye{Code: 1, Message: "x"}) },
	} {
		if n := testing.AllocsPerRun(100, fn); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	if sink == 0 {
		t.Error("nothing was parsed")
	}
}

func BenchmarkAppendPush(b *testing.B) {
	push := Push{Flags: FlagText, Product: []byte("mail"), Seq: now, ID: []byte("01KAF0000000000000000000"), Payload: make([]byte, 256)}
	buf := make([]byte, 0, 4096)
	for b.Loop() {
		buf = AppendPush(buf[:0], &push)
	}
}

func BenchmarkParsePush(b *testing.B) {
	push := Push{Flags: FlagText, Product: []byte("mail"), Seq: now, ID: []byte("01KAF0000000000000000000"), Payload: make([]byte, 256)}
	body := AppendPush(nil, &push)[3:]
	for b.Loop() {
		if _, err := ParsePush(body); err != nil {
			b.Fatal(err)
		}
	}
}
