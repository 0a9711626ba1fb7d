package saver

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"longlink/pkg/api"
	"longlink/pkg/code"
	"longlink/pkg/config"
)

func TestAppendOrder(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		s := w.start()
		before := uint64(time.Now().Add(-time.Second).UnixMicro())
		var items []*api.AppendItem
		for i := range 200 {
			items = append(items, push{device: fmt.Sprintf("d%d", i%5), text: fmt.Sprint(i)}.item())
		}
		last := map[string]uint64{}
		for i, r := range s.Append(items) {
			if r.Result != nil {
				t.Fatalf("item %d: %v", i, r.Result)
			}
			d := items[i].Device
			if r.Seq < before || r.Seq > before+uint64(time.Minute.Microseconds()) {
				t.Fatalf("seq %d is not today's microseconds", r.Seq)
			}
			if r.Prev != last[d] || r.Seq <= last[d] || r.Id != items[i].Message.Id || r.ExpiresMs != items[i].Message.ExpiresMs {
				t.Fatalf("item %d: %+v after seq %d", i, r, last[d])
			}
			last[d] = r.Seq
		}
		page := s.load("d3", 0, false)
		if len(page.Messages) != 40 || page.More || page.Tail != last["d3"] || page.AsOf < page.Tail {
			t.Fatalf("page of %d, more %v, tail %d as of %d", len(page.Messages), page.More, page.Tail, page.AsOf)
		}
		var prev uint64
		for i, m := range page.Messages {
			if want := fmt.Sprint(3 + 5*i); string(m.Message.Payload) != want || m.Prev != prev {
				t.Fatalf("message %d: %s prev %d, want %s prev %d", i, m.Message.Payload, m.Prev, want, prev)
			}
			prev = m.Seq
		}
	})
}

func TestBinaryBodies(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		s := w.start()
		var raw strings.Builder
		for i := range 512 {
			raw.WriteByte(byte(i))
		}
		raw.WriteString("|1|2|\r\n%d\x00")
		s.mustPush(push{device: "d", text: raw.String(), collapse: "k"})
		s.mustPush(push{device: "d", text: raw.String()})
		s.mustPush(push{device: "d", text: raw.String(), collapse: "k"})
		for _, m := range s.load("d", 0, false).Messages {
			if string(m.Message.Payload) != raw.String() {
				t.Fatalf("payload came back as %q", m.Message.Payload)
			}
		}
	})
}

func TestLaneCaps(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		s := w.start(func(c *Config) { c.Lane.MaxMessages = 3; c.Lane.MaxBytes = 10000 })
		first := s.mustPush(push{device: "d", text: "1", collapse: "k"})
		s.mustPush(push{device: "d", text: "2"})
		s.mustPush(push{device: "d", text: "3"})
		if _, c := s.push(push{device: "d", text: "4"}); c != code.InboxFull {
			t.Fatalf("fourth message: %v, want INBOX_FULL", c)
		}
		s.mustPush(push{device: "d", text: "5", collapse: "k"}) // takes the first one's place
		s.holds("d", "2 3 5")
		s.ack("d", first.Seq+1<<40) // cut to the clock
		s.holds("d", "")

		s.mustPush(push{device: "b", text: strings.Repeat("x", 6000)})
		if _, c := s.push(push{device: "b", text: strings.Repeat("y", 6000)}); c != code.InboxFull {
			t.Fatalf("too many bytes: %v, want INBOX_FULL", c)
		}
		s.mustPush(push{device: "b", text: "small"})
	})
}

func TestCollapse(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		s := w.start()
		s.mustPush(push{device: "d", text: "a"})
		s.mustPush(push{device: "d", text: "b1", collapse: "b"})
		c := s.mustPush(push{device: "d", text: "c"})
		s.mustPush(push{device: "d", text: "e1", collapse: "e"})
		if r := s.mustPush(push{device: "d", text: "e2", collapse: "e"}); r.Prev != c.Seq {
			t.Fatalf("prev %d, want the last still in the lane %d", r.Prev, c.Seq)
		}
		s.mustPush(push{device: "d", text: "b2", collapse: "b"})
		s.holds("d", "a c e2 b2")
		w.redis.restart(false)
		s.holds("d", "a c e2 b2")
	})
}

// The sums in a lane must stay right after a removal in its middle.
func TestCapAfterCollapse(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		s := w.start(func(c *Config) { c.Lane.MaxBytes = 5000 })
		for range 20 {
			s.mustPush(push{device: "d", text: strings.Repeat("a", 1000), collapse: "a"})
			s.mustPush(push{device: "d", text: strings.Repeat("b", 1000), collapse: "b"})
		}
		s.mustPush(push{device: "d", text: strings.Repeat("c", 1000)})
		s.mustPush(push{device: "d", text: strings.Repeat("d", 1000)})
		if _, c := s.push(push{device: "d", text: strings.Repeat("e", 1000)}); c != code.InboxFull {
			t.Fatalf("got %v, want INBOX_FULL", c)
		}
	})
}

func TestExpiry(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		s := w.start()
		s.mustPush(push{device: "d", text: "short head", ttl: 300 * time.Millisecond})
		s.mustPush(push{device: "d", text: "a"})
		s.mustPush(push{device: "d", text: "short middle", ttl: 300 * time.Millisecond})
		s.mustPush(push{device: "d", text: "b"})
		if _, c := s.push(push{device: "d", text: "late", ttl: -time.Second}); c != code.InvalidArgument {
			t.Fatalf("an expired message: %v", c)
		}
		eventually(t, "the short ones expire", func() bool { return texts(s.load("d", 0, false)) == "a b" })
		w.redis.restart(false)
		s.holds("d", "a b")
	})
}

func TestLoadPages(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		s := w.start(func(c *Config) { c.Page.MaxMessages = 40; c.Page.MaxBytes = config.Size(64 << 10) })
		for i := range 100 {
			s.mustPush(push{device: "d", text: fmt.Sprint(i)})
		}
		var after uint64
		var got []int
		for {
			p := s.load("d", after, false)
			got = append(got, len(p.Messages))
			if p.Messages[0].Prev != after {
				t.Fatalf("first prev %d, want %d", p.Messages[0].Prev, after)
			}
			after = p.Messages[len(p.Messages)-1].Seq
			if !p.More {
				if p.Tail != after || p.AsOf < after {
					t.Fatalf("last page: tail %d, as of %d, last %d", p.Tail, p.AsOf, after)
				}
				break
			}
		}
		if fmt.Sprint(got) != "[40 40 20]" {
			t.Fatalf("pages of %v", got)
		}
		one := s.Load([]*api.LoadItem{{Device: "d", Product: "shop", MaxBytes: 1}})[0]
		if len(one.Messages) != 1 || !one.More {
			t.Fatalf("a page of one byte has %d messages, more %v", len(one.Messages), one.More)
		}
		if e := s.load("nobody", 0, true); len(e.Messages) != 0 || e.More || e.Tail != 0 {
			t.Fatalf("empty lane: %+v", e)
		}
	})
}

func TestLoginTrims(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		s := w.start()
		s.mustPush(push{device: "d", text: "a"})
		b := s.mustPush(push{device: "d", text: "b"})
		c := s.mustPush(push{device: "d", text: "c"})
		p := s.load("d", b.Seq, true)
		if texts(p) != "c" || p.Cursor != b.Seq {
			t.Fatalf("page %q cursor %d, want c and %d", texts(p), p.Cursor, b.Seq)
		}
		s.holds("d", "c")

		// Far in the future: cut to the clock.
		p = s.load("d", 1<<62, true)
		if p.Cursor != p.AsOf || p.Cursor < c.Seq || p.Cursor > uint64(time.Now().Add(time.Second).UnixMicro()) {
			t.Fatalf("cursor %d as of %d, want the clock, at least %d", p.Cursor, p.AsOf, c.Seq)
		}
		// Within a minute: the clock follows, and the next seq lies above.
		near := uint64(time.Now().Add(40 * time.Second).UnixMicro())
		if p = s.load("d", near, true); p.Cursor != near || p.AsOf != near {
			t.Fatalf("cursor %d as of %d, want %d", p.Cursor, p.AsOf, near)
		}
		if r := s.mustPush(push{device: "d", text: "e"}); r.Seq <= near {
			t.Fatalf("seq %d is not above the cursor %d", r.Seq, near)
		}
		// The raised clock survives the loss of Redis.
		eventually(t, "the cursor reaches the ledger", func() bool { return s.cursors.get(laneOf("d")) == 0 })
		w.redis.restart(false)
		if r := s.mustPush(push{device: "d", text: "f", dedup: "f"}); r.Seq <= near+1 {
			t.Fatalf("seq %d is not above %d", r.Seq, near+1)
		}
	})
}

func TestAckIsIdempotent(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		s := w.start()
		a := s.mustPush(push{device: "d", text: "a"})
		b := s.mustPush(push{device: "d", text: "b"})
		s.mustPush(push{device: "d", text: "c"})
		s.ack("d", b.Seq)
		s.ack("d", b.Seq)
		s.ack("d", a.Seq)
		s.holds("d", "c")
		eventually(t, "the ledger has the cursor", func() bool {
			c, err := s.ledger.Cursor(t.Context(), laneOf("d").Slot, "shop", "d")
			return err == nil && c == b.Seq
		})
	})
}

func TestBadItemsDoNotHurtTheirNeighbours(t *testing.T) {
	w := embeddedWorld(t)
	s := w.start()
	bad := func(change func(*api.AppendItem)) *api.AppendItem {
		it := push{device: "d", text: "bad"}.item()
		change(it)
		return it
	}
	for field, it := range map[string]*api.AppendItem{
		"device":       bad(func(i *api.AppendItem) { i.Device = "a b" }),
		"product":      bad(func(i *api.AppendItem) { i.Product = "" }),
		"message":      bad(func(i *api.AppendItem) { i.Message = nil }),
		"id":           bad(func(i *api.AppendItem) { i.Message.Id = "" }),
		"collapse_key": bad(func(i *api.AppendItem) { i.Message.CollapseKey = "a|b" }),
		"dedup_id":     bad(func(i *api.AppendItem) { i.Message.DedupId = strings.Repeat("x", 65) }),
		"qos":          bad(func(i *api.AppendItem) { i.Message.Qos = 0 }),
		"ttl":          bad(func(i *api.AppendItem) { i.Message.ExpiresMs = time.Now().Add(800 * time.Hour).UnixMilli() }),
		"payload":      bad(func(i *api.AppendItem) { i.Message.Payload = make([]byte, 2<<20) }),
	} {
		out := s.Append([]*api.AppendItem{push{device: "d", text: "good"}.item(), it, push{device: "d", text: "good"}.item()})
		if out[0].Result != nil || out[2].Result != nil || out[1].GetResult().GetField() != field {
			t.Errorf("%s: %v", field, out)
		}
	}
}
