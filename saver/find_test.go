package saver

import (
	"fmt"
	"testing"
	"time"

	"longlink/pkg/api"
	"longlink/pkg/code"
	"longlink/pkg/rpc"
	"longlink/saver/ledger"
)

// found is what find tells of a push, in a few words.
func (r *running) found(id, product string) (out string) {
	r.t.Helper()
	rep, err := (&door{s: r.Saver}).Find(r.t.Context(), &api.FindRequest{Id: id, Product: product})
	if err != nil {
		r.t.Fatal(err)
	}
	for _, m := range rep.Messages {
		out += fmt.Sprintf("%s %s, ", m.Device, m.State.String()[len("STATE_"):])
	}
	return out
}

func TestFind(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		s := w.start()
		for _, d := range []string{"c", "b", "a", "e"} {
			s.mustPush(push{device: d, text: "x", id: "x"})
		}
		first := s.mustPush(push{device: "d", text: "x", id: "x", collapse: "k", dedup: "k", ttl: 2 * time.Hour})
		s.mustPush(push{device: "a", product: "mail", text: "x", id: "x"})
		s.ack("b", s.load("b", 0, false).Messages[0].Seq)

		if got, want := s.found("x", "shop"), "a STORED, b ACKED, c STORED, d STORED, e STORED, "; got != want {
			t.Errorf("found %s, want %s", got, want)
		}
		if got := s.found("x", "mail") + s.found("x", "other") + s.found("y", ""); got != "a STORED, " {
			t.Errorf("of another product, of none, of nobody: %s", got)
		}
		second := s.mustPush(push{device: "d", text: "y", collapse: "k", id: "y"})
		key := func(device string) ledger.Key {
			rows, err := s.ledger.ByID(t.Context(), "x", "", 10)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range rows {
				if f.Device == device {
					return f.Key()
				}
			}
			t.Fatalf("%s has no row", device)
			return ledger.Key{}
		}
		if err := s.ledger.Void(t.Context(), []ledger.Key{key("c")}, nil); err != nil {
			t.Fatal(err)
		}
		if err := s.ledger.SetState(t.Context(), ledger.DeadLettered, []ledger.Key{key("e")}); err != nil {
			t.Fatal(err)
		}
		if got, want := s.found("x", "shop"), "a STORED, b ACKED, c VOID, d REPLACED, e DEAD_LETTERED, "; got != want {
			t.Errorf("found %s, want %s", got, want)
		}
		s.takes("y", "1 of 1")
		if got := s.found("x", "shop") + s.found("y", ""); got != "a STORED, b ACKED, c VOID, d REPLACED, e DEAD_LETTERED, d RECALLED, " {
			t.Errorf("after the other's recall: %s", got)
		}
		s.ack("d", second.Seq)
		if got := s.found("y", ""); got != "d RECALLED, " {
			t.Errorf("recalled, then passed by a cursor: %s", got)
		}

		rep, err := (&door{s: s.Saver}).Find(t.Context(), &api.FindRequest{Id: "x", Product: "shop"})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range rep.Messages {
			if m.Product != "shop" || m.AcceptedMs == 0 || m.ExpiresMs <= m.AcceptedMs || (m.StateMs > 0) != (m.Device == "c" || m.Device == "e") {
				t.Errorf("%v", m)
			}
			if m.Device == "d" && (m.CollapseKey != "k" || m.DedupId != "k" || m.Seq != first.Seq || m.ExpiresMs != first.ExpiresMs) {
				t.Errorf("%v, pushed as %v", m, first)
			}
		}
		for field, q := range map[string]*api.FindRequest{"id": {Product: "shop"}, "product": {Id: "x", Product: "a b"}} {
			if _, err := (&door{s: s.Saver}).Find(t.Context(), q); rpc.FromStatus(err).Code != code.InvalidArgument || rpc.FromStatus(err).Field != field {
				t.Errorf("%v: %v", q, err)
			}
		}
	})
}

// Its time is over, whether it is still in its lane or not.
func TestFindExpired(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		s := w.start()
		r := s.mustPush(push{device: "d", text: "x", id: "x", collapse: "k", ttl: 300 * time.Millisecond})
		eventually(t, "it expires", func() bool { return time.Now().UnixMilli() > r.ExpiresMs })
		if got := s.found("x", ""); got != "d EXPIRED, " {
			t.Errorf("found %s", got)
		}
		s.takes("x", "0 of 1")
		if got := s.found("x", ""); got != "d EXPIRED, " {
			t.Errorf("after a recall: %s", got)
		}
	})
}

// A slot that does not serve and a Redis that is away keep nobody from reading
// the ledger.
func TestFindWithoutRedis(t *testing.T) {
	w := realWorld(t)
	s := w.start()
	s.mustPush(push{device: "d", text: "x", id: "x", collapse: "k"})
	if err := w.redis.(realRedis).srv.Kill(); err != nil {
		t.Fatal(err)
	}
	if got := s.found("x", ""); got != "d STORED, " {
		t.Errorf("found %s", got)
	}
	if err := w.redis.(realRedis).srv.Start(); err != nil {
		t.Fatal(err)
	}
}
