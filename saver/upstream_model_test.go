package saver

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"longlink/pkg/api"
	"longlink/pkg/code"
	"longlink/pkg/testenv"
)

// upWriter sends the data of its devices in order, as rooms do: in batches of
// random length, what is refused again until it is stored, and now and then
// everything once more through the other saver at the same time.
type upWriter struct {
	savers  []*running
	devices []string
	last    map[string]uint64
	rand    *rand.Rand
}

func (w *upWriter) batch() (items []*api.UpItem) {
	for range 1 + w.rand.IntN(20) {
		d := w.devices[w.rand.IntN(len(w.devices))]
		w.last[d]++
		items = append(items, upItem(d, w.last[d]))
	}
	return items
}

// send returns when all is stored.
func (w *upWriter) send(ctx context.Context, items []*api.UpItem) error {
	via := w.rand.IntN(len(w.savers))
	var twice sync.WaitGroup
	defer twice.Wait()
	if w.rand.IntN(4) == 0 {
		all := items
		twice.Go(func() { w.savers[(via+1)%len(w.savers)].up(all...) })
	}
	for try := 0; len(items) > 0; try++ {
		var rest []*api.UpItem
		for i, r := range w.savers[(via+try)%len(w.savers)].up(items...) {
			switch c := codeOf(r); {
			case c == code.OK && r.Seq > 0:
			case retryable(c):
				rest = append(rest, items[i])
			default:
				return fmt.Errorf("item %v: %v", items[i], r)
			}
		}
		if items = rest; len(items) > 0 {
			select {
			case <-time.After(5 * time.Millisecond):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return nil
}

// parts are the partitions of the writers' devices.
const parts = 3

// writing runs four writers through the savers, with devices in few partitions,
// so that they are in each other's way: so many rounds at least, and until enough
// is closed, if it is not nil. done is closed when they have ended.
func writing(t *testing.T, savers []*running, rounds int, enough <-chan struct{}) (writers []*upWriter, done <-chan struct{}) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	var all sync.WaitGroup
	for n := range 4 {
		w := &upWriter{savers: savers, last: map[string]uint64{}, rand: rand.New(rand.NewPCG(1, uint64(n)))}
		for i := range 9 {
			w.devices = append(w.devices, deviceIn(uint32(i%parts), 4*i+n))
		}
		writers = append(writers, w)
		all.Go(func() {
			for n := 0; n < rounds || goOn(enough); n++ {
				if err := w.send(ctx, w.batch()); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer cancel()
		all.Wait()
	}()
	t.Cleanup(func() { <-ended })
	return writers, ended
}

func goOn(enough <-chan struct{}) bool {
	if enough == nil {
		return false
	}
	select {
	case <-enough:
		return false
	default:
		return true
	}
}

// readAll follows the log until the writers have ended and the heads are read.
// Errors of reads are counted, and only borne when they may be.
func readAll(t *testing.T, r *upReader, done <-chan struct{}, bear bool) (turns, failed int) {
	t.Helper()
	var ended time.Time
	for {
		moved, err := r.turn(t.Context())
		turns++
		if err != nil {
			failed++
			if !bear {
				t.Fatal(err)
			}
		}
		select {
		case <-done:
		case <-time.After(2 * time.Millisecond):
			continue
		}
		if ended.IsZero() {
			ended = time.Now()
		}
		// A head may be as old as it may be shared.
		if err == nil && !moved && time.Since(ended) > 2*headsFor {
			return turns, failed
		}
		if time.Since(ended) > 30*time.Second {
			t.Fatalf("the log is not read to its end: %v", err)
		}
		<-time.After(2 * time.Millisecond)
	}
}

// judge holds what was read against the ledger and against what was sent.
func judge(t *testing.T, w *world, r *upReader, writers []*upWriter) {
	t.Helper()
	last := map[string]uint64{}
	total := 0
	if len(r.got) != parts {
		t.Errorf("%d partitions were read", len(r.got))
	}
	for part := range uint32(parts) {
		rows := w.log(part)
		got := r.got[part]
		if len(rows) != len(got) {
			t.Errorf("part %d: %d rows were read, the ledger has %d", part, len(got), len(rows))
			continue
		}
		for i, row := range rows {
			g := got[i]
			if g.Seq != row.seq || g.Item.Device != row.device || g.Item.UpId != row.upID {
				t.Fatalf("part %d, row %d: read %v, the ledger has %+v", part, i, g, row)
			}
			if i > 0 && row.seq <= rows[i-1].seq {
				t.Fatalf("part %d: %d after %d", part, row.seq, rows[i-1].seq)
			}
			if row.upID != last[row.device]+1 {
				t.Fatalf("device %s: %d after %d", row.device, row.upID, last[row.device])
			}
			last[row.device] = row.upID
			total++
		}
	}
	sent := 0
	for _, wr := range writers {
		for d, n := range wr.last {
			sent += int(n)
			if last[d] != n {
				t.Errorf("device %s: %d are in the log, %d were sent", d, last[d], n)
			}
		}
	}
	t.Logf("%d items sent, %d rows", sent, total)
}

// Four writers through two savers in the same partitions, and a reader who goes
// from head to head: he has read exactly what the ledger holds, in its order,
// each device's data in the order of sending and once.
func TestUpstreamReaderMissesNothing(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		savers := []*running{w.start(), w.start()}
		r := savers[0].reader(7)
		writers, done := writing(t, savers, 40, nil)
		turns, _ := readAll(t, r, done, false)
		t.Logf("%d turns", turns)
		judge(t, w, r, writers)
	})
}

// The same while the ledger is killed again and again.
func TestUpstreamOverDeathsOfTheLedger(t *testing.T) {
	w := realWorld(t)
	db := testenv.MariaDB(t)
	w.cfg.Ledger.DSN = db.NewDatabase(t)
	savers := []*running{w.start(), w.start()}
	r := savers[0].reader(7)
	enough := make(chan struct{})
	go func() {
		defer close(enough)
		for range 4 {
			<-time.After(300 * time.Millisecond)
			if err := errors.Join(db.Kill(), db.Start()); err != nil {
				t.Error(err)
			}
		}
	}()
	writers, done := writing(t, savers, 40, enough)
	turns, failed := readAll(t, r, done, true)
	t.Logf("%d turns of which %d failed", turns, failed)
	if failed == 0 {
		t.Error("nothing was read while the ledger was away")
	}
	// A death may have come after the last item: the reader goes on where he is.
	eventually(t, "the log is read to its end", func() bool {
		moved, err := r.turn(t.Context())
		return err == nil && !moved
	})
	judge(t, w, r, writers)
}
