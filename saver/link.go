package saver

import (
	"context"
	"log/slog"
	"time"

	"longlink/saver/lane"
)

// redialAfter is a worker's rest after a failed dial: meanwhile items are
// refused at once instead of waiting one after the other for a Redis that is
// away.
const redialAfter = 100 * time.Millisecond

// idleAfter is how long a connection may rest before it is tried with a PING: an
// append on one that is dead would have to be answered UNKNOWN.
const idleAfter = 50 * time.Millisecond

// link is the one connection of a worker. It is dialled when it is needed and
// given up at its first error; only its worker uses it.
type link struct {
	store *lane.Store
	log   *slog.Logger
	away  *trouble      // of all links together
	rest  time.Duration // after a failed dial

	conn    *lane.Conn
	used    time.Time
	failure error // of the last dial
	again   time.Time
}

// get answers the connection, a new one when there is none.
func (l *link) get(ctx context.Context) (*lane.Conn, error) {
	if l.conn != nil && time.Since(l.used) > idleAfter {
		if err := l.conn.Ping(ctx); err != nil {
			l.drop(err)
		}
	}
	l.used = time.Now()
	if l.conn != nil {
		l.away.fine()
		return l.conn, nil
	}
	if l.failure != nil && time.Now().Before(l.again) {
		return nil, l.failure
	}
	conn, err := l.store.Dial(ctx)
	if err != nil {
		l.away.saw(1, err)
		l.failure, l.again = err, time.Now().Add(l.rest)
		return nil, err
	}
	l.conn, l.failure = conn, nil
	return conn, nil
}

// renew gives the connection up when its run id is not the one it was dialled
// under, so that a slot that serves the new one is not rebuilt for the old one.
func (l *link) renew(ctx context.Context) (renewed bool) {
	same, err := l.conn.Same(ctx)
	if !same {
		l.drop(err)
	}
	return !same
}

// drop gives the connection up after an error.
func (l *link) drop(err error) {
	if err != nil {
		l.log.Info("connection to Redis given up", "err", err)
	}
	if l.conn != nil {
		if cerr := l.conn.Close(); cerr != nil {
			l.log.Debug("closing the connection", "err", cerr)
		}
		l.conn = nil
	}
}
