package saver

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// However many ask, the ledger is asked once in a while; an error is nobody's
// answer for longer than it lasts.
func TestHeadsAreReadOnceForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reads := 0
		var fail error
		h := &upHeads{read: func(ctx context.Context) ([]uint64, error) {
			reads++
			n := uint64(reads)
			time.Sleep(time.Second)
			return []uint64{n}, errors.Join(fail, ctx.Err())
		}}
		all := func(want uint64, wantErr error) {
			t.Helper()
			type answer struct {
				heads []uint64
				err   error
			}
			answers := make(chan answer)
			for range 10 {
				go func() {
					heads, err := h.get(t.Context())
					answers <- answer{heads, err}
				}()
			}
			for range 10 {
				a := <-answers
				if !errors.Is(a.err, wantErr) || wantErr == nil && a.heads[0] != want {
					t.Errorf("got %v %v, want %d", a.heads, a.err, want)
				}
				if a.heads != nil {
					a.heads[0] = 99 // each has his own
				}
			}
		}
		all(1, nil)
		all(2, nil) // the read took longer than it serves
		fail = errors.New("no ledger")
		all(0, fail)
		fail = nil
		all(4, nil)
		if reads != 4 {
			t.Errorf("%d reads", reads)
		}
	})
}

func TestHeadsServeAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reads := uint64(0)
		h := &upHeads{read: func(context.Context) ([]uint64, error) { reads++; return []uint64{reads}, nil }}
		for at, want := range []uint64{1, 1, 2, 2, 3} {
			if got, err := h.get(t.Context()); err != nil || got[0] != want {
				t.Errorf("after %d ms: %v %v, want %d", 60*at, got, err, want)
			}
			time.Sleep(60 * time.Millisecond)
		}
	})
}

// Who began the read leaves: the others get its answer. Who waits may leave.
// A panic ends the read for all.
func TestHeadsOfACallerThatLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := false
		h := &upHeads{read: func(ctx context.Context) ([]uint64, error) {
			time.Sleep(time.Second)
			if broken {
				panic("broken")
			}
			return []uint64{7}, ctx.Err()
		}}
		ctx, cancel := context.WithCancel(t.Context())
		begun := make(chan error, 1)
		go func() {
			defer func() {
				if v := recover(); v != nil {
					begun <- errors.New("panic")
				}
			}()
			_, err := h.get(ctx)
			begun <- err
		}()
		synctest.Wait()
		waiting := make(chan error, 1)
		go func() {
			_, err := h.get(ctx)
			waiting <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-waiting; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		if got, err := h.get(t.Context()); err != nil || got[0] != 7 {
			t.Errorf("got %v %v", got, err)
		}
		<-begun
		time.Sleep(time.Second)
		broken = true
		go func() {
			defer func() {
				if v := recover(); v != nil {
					begun <- errors.New("panic")
				}
			}()
			_, err := h.get(t.Context())
			begun <- err
		}()
		synctest.Wait()
		if _, err := h.get(t.Context()); err == nil {
			t.Error("the read panicked and was answered")
		}
		if err := <-begun; err == nil || err.Error() != "panic" {
			t.Errorf("got %v", err)
		}
		broken = false
		if got, err := h.get(t.Context()); err != nil || got[0] != 7 {
			t.Errorf("after a panic: %v %v", got, err)
		}
	})
}
