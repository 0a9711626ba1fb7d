package lane

import (
	"context"
	"fmt"
	"time"
)

// Verb says what a ledger row means to the lane that is rebuilt.
type Verb string

// Verbs.
const (
	Insert Verb = "+" // the message waits: insert it, in place of an older one with its collapse key
	Remove Verb = "x" // the message is gone: remove it, and older ones with its collapse key
	Recall Verb = "d" // only its dedup key is wanted
)

// Row is one ledger row of a lane under rebuild.
type Row struct {
	Verb        Verb
	Seq         uint64
	ExpiresMS   int64
	CollapseKey string
	Body        []byte
	// DedupID is remembered for DedupLife more; "" when there is none or its
	// hour is over.
	DedupID   string
	ID        string
	DedupLife time.Duration
}

// Rebuilt is one lane with its rows in order of seq.
type Rebuilt struct {
	Ref
	Cursor uint64 // what is at or below it has been consumed
	Rows   []Row
}

// Insert merges rows into lanes of slots that do not serve yet; lanes of a slot
// that serves are left alone. It may be repeated.
func (c *Conn) Insert(ctx context.Context, lanes []Rebuilt) error {
	if len(lanes) == 0 {
		return nil
	}
	k := newCall()
	k.add(len(lanes))
	for _, l := range lanes {
		k.add(k.slot(l.Slot), k.key(l.Key()), min(l.Cursor, MaxSeq), len(l.Rows))
		for _, r := range l.Rows {
			var dedup any = 0
			if r.DedupID != "" && r.DedupLife >= time.Millisecond {
				dedup = k.key(l.DedupKey(r.DedupID))
			}
			k.add(string(r.Verb), r.Seq, r.ExpiresMS, r.CollapseKey, len(r.Body), r.Body,
				dedup, Seen{r.ID, r.Seq, r.ExpiresMS}.String(), r.DedupLife.Milliseconds())
		}
	}
	_, err := k.run(ctx, c, c.store.scripts.insert, len(lanes))
	return err
}

// Finish lets slots serve this run, each with its clock at least at the highest
// seq of the ledger. It takes some hundred slots at a time.
func (c *Conn) Finish(ctx context.Context, slots []uint16, clocks []uint64) error {
	if len(slots) != len(clocks) {
		return fmt.Errorf("%d slots and %d clocks", len(slots), len(clocks))
	}
	k := newCall()
	for i, s := range slots {
		k.slot(s)
		k.add(min(clocks[i], MaxSeq))
	}
	_, err := k.run(ctx, c, c.store.scripts.finish, len(slots))
	return err
}
