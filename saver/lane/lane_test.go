package lane

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"go.uber.org/goleak"

	"longlink/pkg/slot"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The forms are stored: they may never change.
func TestKeys(t *testing.T) {
	r := RefOf("shop", "device-1")
	tag := fmt.Sprintf("{%02x}", r.Slot/16)
	for got, want := range map[string]string{
		r.Key():          "ll:" + tag + ":l:shop/device-1",
		r.DedupKey("x"):  "ll:" + tag + ":d:shop/device-1/x",
		ClockKey(r.Slot): fmt.Sprintf("ll:%s:c:%d", tag, r.Slot),
		GenKey(4095):     "ll:{ff}:g:4095",
		ClockKey(16):     "ll:{01}:c:16",
		ClockKey(0):      "ll:{00}:c:0",
	} {
		if got != want {
			t.Errorf("key %s, want %s", got, want)
		}
	}
}

func TestCut(t *testing.T) {
	slots := []uint16{0, 1, 40, 15, 41, 0, 47, 2}
	for _, c := range []struct {
		most   int
		perTag bool
		want   string
	}{
		{64, false, "[[0 1 2 3 4 5 6 7]]"},
		{3, false, "[[0 1 2] [3 4 5] [6 7]]"},
		{64, true, "[[0 1 3 5 7] [2 4 6]]"},
		{3, true, "[[0 1 3] [2 4 6] [5 7]]"},
	} {
		if got := fmt.Sprint(Cut(slots, c.most, c.perTag)); got != c.want {
			t.Errorf("Cut(%d, %v) = %s, want %s", c.most, c.perTag, got, c.want)
		}
	}
	if Cut(nil, 3, true) != nil {
		t.Error("calls for nothing")
	}
}

func TestParse(t *testing.T) {
	e, err := parseElement("1700000000000001|10|4|99|key|a|b\x00")
	if err != nil || e.Seq != 1700000000000001 || e.ExpiresMS != 99 || !bytes.Equal(e.Body, []byte("a|b\x00")) {
		t.Errorf("%+v %v", e, err)
	}
	for _, bad := range []string{"", "1|2|3|4", "x|2|3|4|k|b", "1|2|3|x|k|b"} {
		if _, err := parseElement(bad); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
	want := Seen{"id", 1700000000000001, 99}
	if got, err := parseSeen(want.String()); err != nil || got != want {
		t.Errorf("%v %v", got, err)
	}
	for _, bad := range []string{"", "id", "id|1", "id|x|1", "id|1|x"} {
		if _, err := parseSeen(bad); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

// served is a connection on an embedded server where every slot serves.
func served(t *testing.T) (*Embedded, *Store, *Conn) {
	t.Helper()
	e, err := NewEmbedded()
	if err != nil {
		t.Fatal(err)
	}
	s := NewStore(e.Options(Options{DialTimeout: time.Second, Timeout: time.Second, Connections: 4,
		Limits: Limits{MaxMessages: 10, MaxBytes: 10000, Dedup: time.Hour}}))
	c, err := s.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, f := range []func() error{c.Close, s.Close, e.Close} {
			if err := f(); err != nil {
				t.Error(err)
			}
		}
	})
	for first := 0; first < slot.Count; first += 256 {
		var some []uint16
		for i := range 256 {
			some = append(some, uint16(first+i))
		}
		if err := c.Finish(t.Context(), some, make([]uint64, len(some))); err != nil {
			t.Fatal(err)
		}
	}
	return e, s, c
}

// A lane of a device that never comes goes away by itself, and not before its
// last message.
func TestLaneKeyExpires(t *testing.T) {
	e, _, c := served(t)
	r := RefOf("shop", "d")
	for i, ttl := range []time.Duration{time.Minute, time.Hour, time.Minute} {
		out, err := c.Append(t.Context(), []AppendItem{{Ref: r, ID: "m", ExpiresMS: time.Now().Add(ttl).UnixMilli(),
			CollapseKey: []string{"a", "b", "a"}[i], Body: []byte("x"), DedupID: fmt.Sprint(i)}})
		if err != nil || out[0].Status != Done {
			t.Fatal(out, err)
		}
	}
	if left := e.server.TTL(r.Key()); left < time.Hour || left > time.Hour+2*time.Minute {
		t.Errorf("lane lives %v more, want the longest message's hour and a minute", left)
	}
	if left := e.server.TTL(r.DedupKey("1")); left < 59*time.Minute || left > time.Hour {
		t.Errorf("dedup key lives %v more", left)
	}
	e.server.FastForward(2 * time.Hour)
	if e.server.Exists(r.Key()) || e.server.Exists(r.DedupKey("1")) {
		t.Error("keys live for ever")
	}
}

// Seqs are today's microseconds to the last digit, far above what Lua prints.
func TestSeqDigits(t *testing.T) {
	r := RefOf("shop", "d")
	high := uint64(1<<53 - 20)
	e, s, _ := served(t)
	if err := e.Restart(false); err != nil {
		t.Fatal(err)
	}
	c, err := s.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Finish(t.Context(), []uint16{r.Slot}, []uint64{high}); err != nil {
		t.Fatal(err)
	}
	for i := range uint64(5) {
		out, err := c.Append(t.Context(), []AppendItem{{Ref: r, ID: "m", ExpiresMS: time.Now().Add(time.Hour).UnixMilli(), Body: []byte("x")}})
		if err != nil || out[0].Seq != high+1+i {
			t.Fatalf("seq %d (%v), want %d", out[0].Seq, err, high+1+i)
		}
	}
}

// A connection whose process has gone answers only errors: it never comes back
// as a connection to another process.
func TestConnIsOneProcess(t *testing.T) {
	e, s, c := served(t)
	if err := e.Restart(true); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := c.States(t.Context(), []uint16{1}); err == nil {
			t.Fatal("the connection reached another process")
		}
	}
	d, err := s.Dial(context.WithoutCancel(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if d.Run() == c.Run() {
		t.Fatal("two processes with one run id")
	}
	st, err := d.States(t.Context(), []uint16{1})
	if err != nil || st[0].Gen != c.Run() {
		t.Fatalf("%v %v", st, err)
	}
	out, err := d.Ack(t.Context(), []Cursor{{Ref: Ref{"p", "d", 1}, Seq: 1}})
	if err != nil || out[0].Status != NotReady {
		t.Fatalf("%v %v, want not ready", out, err)
	}
}
