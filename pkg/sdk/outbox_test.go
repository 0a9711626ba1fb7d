package sdk

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"longlink/pkg/code"
	"longlink/pkg/wire"
)

// Four Sends, the connection is cut after the room got some and answered the
// first of these: the next connection gets the others, all of them, in order,
// and only the head of the line is first.
func TestOrderAfterACutAnywhere(t *testing.T) {
	const n = 4
	for got := range n + 1 {
		for answered := range got + 1 {
			t.Run(fmt.Sprintf("got %d answered %d", got, answered), func(t *testing.T) {
				inBubble(t, twoProducts, func(t *testing.T, w *world) {
					r := w.accept()
					r.upLogin()
					var all []*sending
					for i := range got {
						all = append(all, w.send("p", fmt.Sprint(i)))
					}
					other := w.send("q", "other")
					ids := map[string]uint64{}
					for range got + 1 {
						u := r.up()
						ids[string(u.Payload)] = u.UpID
					}
					for i := range answered {
						r.upAck(code.OK, 0, ids[fmt.Sprint(i)])
						all[i].stored()
					}
					r.close()
					synctest.Wait()
					for i := got; i < n; i++ {
						all = append(all, w.send("p", fmt.Sprint(i)))
					}
					r = w.accept()
					r.upLogin()
					next := answered
					for range n - answered + 1 {
						u := r.up()
						body := string(u.Payload)
						if id, again := ids[body]; again && id != u.UpID {
							t.Fatalf("%s had up_id %d, now %d", body, id, u.UpID)
						}
						if string(u.Product) == "p" {
							if want := fmt.Sprint(next); body != want {
								t.Fatalf("got %s, want %s", body, want)
							}
							next++
						}
						first := body == "other" || next == answered+1
						if (u.Flags&wire.FlagFirst != 0) != first {
							t.Fatalf("%s: flags %d", body, u.Flags)
						}
						ids[body] = u.UpID
					}
					for _, id := range ids {
						r.upAck(code.OK, 0, id)
					}
					for i := answered; i < n; i++ {
						all[i].stored()
					}
					other.stored()
				})
			})
		}
	}
}

// A refusal makes its product wait for the hint, and no other.
func TestRefusalMakesItsProductWait(t *testing.T) {
	inBubble(t, twoProducts, func(t *testing.T, w *world) {
		r := w.accept()
		r.upLogin()
		a, b, c := w.send("p", "a"), w.send("p", "b"), w.send("p", "c")
		start := time.Now()
		r.upAck(code.Hold, 8000, r.ups("!a", "b", "c")...)
		synctest.Wait()
		d := w.send("p", "d")
		x := w.send("q", "x")
		r.upAck(code.OK, 0, r.ups("!x")...)
		x.stored()
		if at := time.Since(start); at != 0 {
			t.Fatalf("product q waited for %s", at)
		}
		ids := r.ups("!a", "b", "c", "d")
		if at := time.Since(start); at != 9*time.Second { // the hint and half of a quarter
			t.Fatalf("sent again after %s", at)
		}
		a.waits()
		r.upAck(code.OK, 0, ids...)
		for _, s := range []*sending{a, b, c, d} {
			s.stored()
		}
		if n := w.client.Stats().UpsHeld; n != 1 {
			t.Fatalf("%d refusals counted: those behind the first are no news", n)
		}
	})
}

// What was accepted before the refused one stays out of it.
func TestRefusalInTheMiddle(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		r := w.accept()
		r.upLogin()
		all := []*sending{w.send("p", "a"), w.send("p", "b"), w.send("p", "c"), w.send("p", "d")}
		ids := r.ups("!a", "b", "c", "d")
		r.upAck(code.UnknownProduct, 0, ids[1]) // for good, and the next go on
		all[1].refused(code.UnknownProduct)
		r.upAck(code.Unavailable, 0, ids[2:]...)
		again := r.ups("c", "d") // a has no answer yet
		r.upAck(code.OK, 0, ids[0])
		r.upAck(code.RateLimited, 0, again...)
		r.upAck(code.OK, 0, r.ups("!c", "d")...)
		for _, i := range []int{0, 2, 3} {
			all[i].stored()
		}
	})
}

// The hint belongs to the product's queue, not to the connection.
func TestRefusalOutlivesTheConnection(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		r := w.accept()
		r.upLogin()
		s := w.send("p", "a")
		start := time.Now()
		r.upAck(code.Hold, 20_000, r.ups("!a")...)
		synctest.Wait()
		r.close()
		r = w.accept()
		r.upLogin()
		r.upAck(code.OK, 0, r.ups("!a")...)
		if at := time.Since(start); at < 20*time.Second || at > 25*time.Second {
			t.Fatalf("sent again after %s", at)
		}
		s.stored()
	})
}

// Where the server names no time the pauses grow, and an answer resets them.
func TestRefusalWithoutAHintBacksOff(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		for range 2 {
			r := w.accept()
			r.upLogin()
			s := w.send("p", "a")
			id := r.up().UpID
			for n, want := range []time.Duration{375, 750, 1500, 3000, 6000} { // base 500 ms, half of the jitter
				start := time.Now()
				r.upAck([]code.Code{code.Reconnect, code.Draining, code.Code(1999)}[n%3], 0, id)
				r.up()
				if at := time.Since(start); at != want*time.Millisecond {
					t.Fatalf("refusal %d: sent again after %s", n+1, at)
				}
			}
			r.upAck(code.OK, 0, id)
			s.stored()
			r.close()
		}
	})
}

// An absurd hint does not make the device send in a loop.
func TestTinyHint(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		r := w.accept()
		r.upLogin()
		w.send("p", "a")
		start := time.Now()
		for range 10 {
			r.upAck(code.RateLimited, 1, r.up().UpID)
		}
		if at := time.Since(start); at < 2*time.Second {
			t.Fatalf("ten refusals in %s", at)
		}
	})
}

func TestGiveUp(t *testing.T) {
	for name, body := range map[string]func(t *testing.T, w *world, r *roomConn){
		"the refused one, while it waits": func(t *testing.T, w *world, r *roomConn) {
			a, b, c := w.send("p", "a"), w.send("p", "b"), w.send("p", "c")
			r.upAck(code.Hold, 0, r.ups("!a", "b", "c")...)
			synctest.Wait()
			a.giveUp()
			r.upAck(code.OK, 0, r.ups("!b", "c")...)
			b.stored()
			c.stored()
		},
		"one that is on its way, with others behind it": func(t *testing.T, w *world, r *roomConn) {
			a, b := w.send("p", "a"), w.send("p", "b")
			ids := r.ups("!a", "b")
			a.giveUp()
			c := w.send("p", "c")
			ids = append(ids, r.ups("c")...) // b has no answer: c is not first
			r.upAck(code.Hold, 0, ids...)
			r.upAck(code.OK, 0, r.ups("!b", "c")...)
			b.stored()
			c.stored()
		},
		"the only one on its way": func(t *testing.T, w *world, r *roomConn) {
			a := w.send("p", "a")
			id := r.ups("!a")
			a.giveUp()
			b := w.send("p", "b")
			r.upAck(code.Hold, 0, id...) // of nobody: b was sent as the first, and the room takes it
			r.upAck(code.OK, 0, r.ups("!b")...)
			b.stored()
		},
		"one in the middle": func(t *testing.T, w *world, r *roomConn) {
			a, b, c := w.send("p", "a"), w.send("p", "b"), w.send("p", "c")
			r.upAck(code.Hold, 0, r.ups("!a", "b", "c")...)
			synctest.Wait()
			b.giveUp()
			r.upAck(code.OK, 0, r.ups("!a", "c")...)
			a.stored()
			c.stored()
		},
		"all of them: the product waits all the same": func(t *testing.T, w *world, r *roomConn) {
			a, b := w.send("p", "a"), w.send("p", "b")
			start := time.Now()
			r.upAck(code.Hold, 8000, r.ups("!a", "b")...)
			synctest.Wait()
			a.giveUp()
			b.giveUp()
			c := w.send("p", "c")
			r.upAck(code.OK, 0, r.ups("!c")...)
			if at := time.Since(start); at < 8*time.Second {
				t.Fatalf("sent after %s", at)
			}
			c.stored()
		},
		"between two connections": func(t *testing.T, w *world, r *roomConn) {
			a, b := w.send("p", "a"), w.send("p", "b")
			r.ups("!a", "b")
			r.close()
			synctest.Wait()
			a.giveUp()
			r = w.accept()
			r.upLogin()
			r.upAck(code.OK, 0, r.ups("!b")...)
			b.stored()
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, w *world) {
				r := w.accept()
				r.upLogin()
				body(t, w, r)
			})
		})
	}
}

// Answers that make no sense harm nothing.
func TestStrangeAnswers(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		r := w.accept()
		r.upLogin()
		r.upAck(code.OK, 0, 0, 1, 1<<63)
		a, b, c := w.send("p", "a"), w.send("p", "b"), w.send("p", "c")
		ids := r.ups("!a", "b", "c")
		r.upAck(code.OK, 0, ids[2], ids[2]) // out of order, and twice
		c.stored()
		r.upAck(code.Hold, 0, ids[2]) // of what is answered
		r.upAck(code.Hold, 4000, ids[0], ids[0], ids[1], ids[0])
		a.waits()
		d := w.send("p", "d") // not written yet
		r.upAck(code.Hold, 3_600_000, ids[2]+1, ids[2]+2)
		d.waits()
		ids = r.ups("!a", "b", "d")
		r.upAck(code.Code(5001), 0, ids[0]) // never sent by a sound room: kept, and sent again
		again := r.ups("!a", "b", "d")
		r.upAck(code.Code(9999), 0, again[1])
		r.upAck(code.Code(17), 0, again[0]) // done, by a newer server's word
		a.stored()
		r.upAck(code.OK, 0, r.ups("!b", "d")...)
		b.stored()
		d.stored()
		if n := w.client.Stats(); n.UpsStored != 4 || n.UpsRefused != 0 {
			t.Fatalf("stats %+v", n)
		}
	})
}

// An answer for a number that was not written yet says nothing; one for a number
// of the connection before is as good as any, unless it is a passing refusal.
func TestAnswerBeforeTheFrame(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		r := w.accept()
		r.upLogin()
		a := w.send("p", "a")
		ids := r.ups("!a")
		r.close()
		r = w.accept()
		h := r.hello()
		synctest.Wait()
		b := w.send("p", "b")
		w.client.mu.Lock()
		bID := w.client.lastUpID
		w.client.mu.Unlock()
		r.welcome(wire.Welcome{Features: wire.FeatureUpstream})
		r.upAck(code.OK, 0, bID)
		r.upAck(code.Malformed, 0, bID)
		r.upAck(code.Hold, 60_000, ids[0])
		b.waits()
		a.waits()
		r.upAck(code.OK, 0, ids[0])
		a.stored()
		r.bound("p", h.Bindings[0].Cursor)
		r.upAck(code.OK, 0, r.ups("!b")...)
		b.stored()
	})
}
