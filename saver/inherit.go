package saver

import (
	"context"
	"errors"
	"slices"
	"time"

	"longlink/pkg/cluster"
	"longlink/pkg/slot"
	"longlink/saver/lane"
	"longlink/saver/ledger"
)

// inheritSlots is how many slots one query of inherit names.
const inheritSlots = 128

// inheritRest is the longest rest after a query that failed.
const inheritRest = 30 * time.Second

// inherit gives the lanes that another saver's table, or that of this one's last
// life, died with to this table: the savers' table is in memory, and a saver may
// die together with the center that was about to deliver. Once this instance is
// in the view it takes the slots that are its own, and again whenever a saver
// left the view or came back as another life. From the ledger it reads the lanes with live messages above the cursor among the last
// `lookback` before the newest message of those slots, which is when the other
// one died, however long ago that is.
//
// Not covered: messages older than that, which the other one held because the
// register had not answered for them for so long, and the lanes beyond half of
// the table. They come with their devices' next message, bind or login.
func (w *sweep) inherit(ctx context.Context) error {
	views, self := w.s.deps.Peers.Views(), w.s.deps.Peers.Self()
	var before *cluster.View
	for {
		v := views.View()
		if i, ok := v.Get(cluster.Saver, self.ID); ok && i.Epoch == self.Epoch {
			for rest := time.Second; ; rest = min(2*rest, inheritRest) {
				err := w.adopt(ctx, orphans(before, v, self.ID))
				if err == nil {
					w.s.troubles.inherit.fine()
					break
				}
				if ctx.Err() != nil {
					return nil
				}
				w.s.troubles.inherit.saw(1, err)
				t := time.NewTimer(rest)
				select {
				case <-t.C:
				case <-ctx.Done():
					t.Stop()
					return nil
				}
			}
			before = v
		}
		select {
		case <-views.Changed(v):
		case <-ctx.Done():
			return nil
		}
	}
}

// orphans are the slots of self of which a table that is gone may have held
// lanes: all of them when the life of any saver has ended, since it may have
// served them while their owner did not answer (pkg/rpc, spare); none otherwise.
// before is nil when self has just begun.
func orphans(before, now *cluster.View, self string) (out []uint16) {
	if before != nil && !ended(before, now) {
		return nil
	}
	for s := range uint16(slot.Count) {
		if o, ok := now.Owner(cluster.Saver, s); ok && o.ID == self {
			out = append(out, s)
		}
	}
	return out
}

// ended is true when a saver has left the view or is there in another life.
func ended(before, now *cluster.View) bool {
	return slices.ContainsFunc(before.Kind(cluster.Saver), func(was cluster.Instance) bool {
		is, lives := now.Get(cluster.Saver, was.ID)
		return !lives || is.Epoch != was.Epoch
	})
}

var errHalfFull = errors.New("half of the table is taken")

func (w *sweep) adopt(ctx context.Context, slots []uint16) error {
	var newest uint64
	for chunk := range slices.Chunk(slots, inheritSlots) {
		qctx, cancel := context.WithTimeout(ctx, w.s.cfg.Ledger.Timeout.Std())
		seq, err := w.s.ledger.Newest(qctx, chunk)
		cancel()
		if err != nil {
			return err
		}
		newest = max(newest, seq)
	}
	if newest == 0 {
		return nil
	}
	after, n := newest-min(newest, uint64(w.s.cfg.Sweep.Lookback.Std().Microseconds())), 0
	for chunk := range slices.Chunk(slots, inheritSlots) {
		qctx, cancel := context.WithTimeout(ctx, w.s.cfg.Ledger.Timeout.Std())
		err := w.s.ledger.Waiting(qctx, chunk, after, time.Now(), func(l ledger.Lane) error {
			if w.table.len() >= w.s.cfg.Sweep.Lanes/2 {
				return errHalfFull
			}
			n++
			w.table.stored(lane.Ref{Product: l.Product, Device: l.Device, Slot: l.Slot}, l.Seq, "", l.ExpiresMS, true, time.Now())
			return nil
		})
		cancel()
		if errors.Is(err, errHalfFull) {
			w.s.log.Warn("more lanes wait for their devices than the sweep takes over; the others wait for their devices' next message or login", "taken", n)
			return nil
		}
		if err != nil {
			return err
		}
	}
	if n > 0 {
		w.s.log.Info("lanes of a saver that ended are looked after", "lanes", n, "slots", len(slots))
	}
	return nil
}
