package center

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"longlink/pkg/api"
	"longlink/pkg/code"
	"longlink/pkg/rpc"
)

// eventMarks is how many events come between two cursors at most: those a caller
// may get twice.
const eventMarks = 1000

// errLeft ends a follower whose caller has gone, or takes nothing.
var errLeft = errors.New("the caller went away")

// follower is one call that follows events. A single goroutine runs it.
type follower struct {
	s           *server
	log         logReader
	out         eventSink
	product     string
	incarnation uint64 // of the product
	still       func(now time.Time) *code.Error
	life        *lifeline

	at       positions // everything at or below was sent, or is not asked for
	moved    bool      // since the last cursor
	unmarked int       // events since then
	marked   time.Time // when that was
	wrote    time.Time // the last thing of any kind
}

// run follows until the caller goes (errLeft), may not go on or takes nothing
// any more, or ctx ends. Savers that fail end nothing: it goes on from where it was.
func (f *follower) run(ctx context.Context) error {
	for {
		if err := f.allowed(); err != nil {
			return err
		}
		more, away, err := f.turn(ctx)
		if err == nil {
			err = f.beat()
		}
		if err != nil || ctx.Err() != nil {
			return err
		}
		switch {
		case away != nil:
			if f.log.away() {
				f.s.log.Warn("no saver lets events be followed", "request_id", rpc.RequestID(ctx), "product", f.product, "err", away)
				if err := f.say(f.out.note("saver away, going on when it is back")); err != nil {
					return err
				}
			}
			pause(ctx, backoff(f.log.fails))
			continue
		case !more:
			f.rest(ctx)
		}
		f.log.fails = 0
	}
}

// allowed checks the key and the product as they are now.
func (f *follower) allowed() error {
	if err := f.still(time.Now()); err != nil {
		return err
	}
	if p, ok := f.s.deps.Directory.Product(f.product); !ok || p.Incarnation != f.incarnation {
		return code.Errorf(code.UnknownProduct, "product %s was deleted", f.product).WithField("product")
	}
	return nil
}

// turn reads one page of each partition that has something new, so that a busy
// one does not keep the others waiting. more: there are pages left. away: why
// some could not be read.
func (f *follower) turn(ctx context.Context) (more bool, away *code.Error, err error) {
	heads, away := f.log.heads(ctx)
	if away != nil {
		return false, away, nil
	}
	var behind []int
	for part, head := range heads {
		if head > f.at[part] {
			behind = append(behind, part)
		}
	}
	for len(behind) > 0 && ctx.Err() == nil {
		parts := behind[:min(len(behind), eventReads)]
		behind = behind[len(parts):]
		pages, failed := f.log.pages(ctx, parts, &f.at)
		read := 0
		for i, page := range pages {
			if page == nil {
				continue
			}
			read++
			part := parts[i]
			before := f.at[part]
			if err := f.emit(part, page); err != nil {
				return false, nil, err
			}
			more = more || f.at[part] > before && f.at[part] < heads[part]
		}
		if failed != nil {
			away = failed
		}
		if read == 0 {
			return more, away, nil
		}
		if err := f.beat(); err != nil {
			return false, nil, err
		}
	}
	return more, away, nil
}

// emit sends a page of a partition. What the saver has not filtered is: a
// product's key sees nothing of another one, whatever saver answers.
func (f *follower) emit(part int, page *api.ReadUpstreamReply) error {
	for _, row := range page.Rows {
		if row.Seq <= f.at[part] {
			continue
		}
		e := eventOf(part, row)
		if e != nil && e.Product == f.product && (f.log.kind == "" || e.Kind == f.log.kind) {
			if err := f.say(f.out.event(e)); err != nil {
				return err
			}
			f.unmarked++
			f.s.metrics.events.Inc()
		}
		f.at[part], f.moved = row.Seq, true
		if f.unmarked >= eventMarks {
			if err := f.tell(time.Now()); err != nil {
				return err
			}
		}
	}
	if page.Read > f.at[part] {
		f.at[part], f.moved = page.Read, true
	}
	return nil
}

// beat sends what has become due: a cursor soon after events, and in time for
// the caller to know that the stream lives, a cursor that moved or a ping. It
// also sees to it that nothing waits in a buffer, and that the time of a reader
// to whom nothing is written does not run: HTTP/2 would end the stream.
func (f *follower) beat() error {
	f.life.extend()
	now, err := time.Now(), error(nil)
	silent := now.Sub(f.wrote) >= f.s.followers.ping
	switch {
	case f.unmarked > 0 && now.Sub(f.marked) >= f.s.followers.mark, f.moved && now.Sub(f.marked) >= f.s.followers.ping:
		err = f.tell(now)
	case silent:
		err = f.say(f.out.ping(f.at.cursor()))
	}
	if err != nil {
		return err
	}
	return f.reader(f.out.flush())
}

// tell sends a cursor.
func (f *follower) tell(now time.Time) error {
	f.moved, f.unmarked, f.marked = false, 0, now
	return f.say(f.out.mark(f.at.cursor()))
}

// say notes that something was written, or why not.
func (f *follower) say(err error) error {
	f.wrote = time.Now()
	return f.reader(err)
}

// reader is what an error of the sink means.
func (f *follower) reader(err error) error {
	if err != nil {
		return errLeft
	}
	return nil
}

// rest waits for the next turn. Followers do not ask all at once.
func (f *follower) rest(ctx context.Context) {
	d := f.s.cfg.Events.Poll.Std()
	t := time.NewTimer(d - d/8 + rand.N(d/4+1))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
