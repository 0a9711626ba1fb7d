package saver

import (
	"context"
	"strconv"
	"time"

	"google.golang.org/protobuf/proto"

	"longlink/pkg/api"
	"longlink/pkg/code"
	"longlink/pkg/rpc"
	"longlink/pkg/wire"
	"longlink/saver/lane"
	"longlink/saver/ledger"
)

// appendJob is one message to be stored.
type appendJob struct {
	task[*api.AppendResult]
	message *api.Message
	body    []byte
	// repeat is what the dedup key knew; its Seq is 0 for a fresh message.
	repeat lane.Seen
	stored lane.Appended
}

func (j *appendJob) fail(e *code.Error) {
	j.answer(&api.AppendResult{Result: rpc.ResultOf(e)})
}

// unknown: the message may be stored; a retry with its dedup_id finds out.
func (j *appendJob) unknown() {
	j.fail(code.Errorf(code.Unknown, "it may still be delivered; retry with the same dedup_id"))
}

// seams let a test act between the steps of an append, a recall or a rebuild. All
// nil otherwise.
type seams struct {
	afterScript, afterCommit func()
	afterMark                func()       // of a recall
	beforeInsert             func()       // of a rebuild
	commitError              func() error // instead of the commit
}

func (s *seams) at(f func()) {
	if f != nil {
		f()
	}
}

// append is the order that makes "stored before sent" true:
//  1. the script gives each message its seq and puts it into its lane,
//  2. the ledger commits the rows,
//  3. the slots' gen is read on the same connection: if the Redis process is
//     still the one of (1), no rebuild has missed the rows,
//  4. only now is the answer yes.
//
// Whatever goes wrong after (1) began is answered UNKNOWN. Rows whose run is
// gone are marked void, or a rebuild long after would bring them out of order.
func (s *Saver) append(ctx context.Context, c *lane.Conn, jobs []*appendJob) (unready []*appendJob, err error) {
	defer func() {
		for _, j := range jobs {
			if j.done {
				s.countAppend(j)
			}
		}
	}()
	if s.commits.isAway() {
		failAll(jobs, code.Errorf(code.Unavailable, "the ledger cannot be reached"))
		return nil, nil
	}
	open := s.sweepable(jobs)
	if len(open) == 0 {
		return nil, nil
	}
	// Whatever ends this function early, a panic included, is after (1) began.
	begun := open
	defer func() {
		for _, j := range begun {
			if !j.done {
				s.keep(j, false)
				j.unknown()
			}
		}
	}()
	items := make([]lane.AppendItem, len(open))
	for i, j := range open {
		items[i] = lane.AppendItem{Ref: j.ref, ID: j.message.Id, ExpiresMS: j.message.ExpiresMs,
			CollapseKey: j.message.CollapseKey, DedupID: j.message.DedupId, Body: j.body}
	}
	start := time.Now()
	out, err := c.Append(ctx, items)
	s.metrics.script("append", start)
	if lane.Refused(err) {
		begun = nil
		failAll(open, code.Errorf(code.Unavailable, "Redis takes no messages at the moment"))
	}
	if err != nil {
		return nil, err
	}
	var stored []*appendJob
	begun = nil
	for i, j := range open {
		j.stored = out[i]
		s.metrics.expired(out[i].Expired)
		switch out[i].Status {
		case lane.NotReady:
			unready = append(unready, j)
		case lane.Full:
			j.fail(code.Errorf(code.InboxFull, "the lane of this device and product is full"))
		case lane.Expired:
			j.fail(code.Invalid("ttl", "the message expired before it could be stored"))
		case lane.Done, lane.Duplicate:
			j.repeat = out[i].Seen
			stored = append(stored, j)
		}
	}
	if len(stored) == 0 {
		return unready, nil
	}
	begun = stored
	s.seams.at(s.seams.afterScript)
	if err := s.commit(ctx, stored); err != nil {
		s.troubles.commit.saw(len(stored), err)
		return unready, nil
	}
	s.troubles.commit.fine()
	s.seams.at(s.seams.afterCommit)
	states, err := c.States(ctx, slotsOf(stored))
	lost := err != nil
	for _, st := range states {
		lost = lost || st.Gen != c.Run()
	}
	if lost {
		s.void(ctx, stored)
		return unready, err
	}
	s.troubles.void.fine()
	for _, j := range stored {
		s.keep(j, true)
		j.answer(j.yes())
	}
	return unready, nil
}

// sweepable refuses the jobs whose lanes the sweep could not keep.
func (s *Saver) sweepable(jobs []*appendJob) (open []*appendJob) {
	for _, j := range jobs {
		if !s.sweep.table.room(j.ref) {
			j.fail(code.Errorf(code.RateLimited, "too many lanes wait for their devices to be found"))
			continue
		}
		open = append(open, j)
	}
	return open
}

// keep hands a message to the sweep before its append is answered; sure: with
// yes. One without a seq is not known to be stored.
func (s *Saver) keep(j *appendJob, sure bool) {
	seq, expires, id := j.stored.Seq, j.message.ExpiresMs, j.message.Id
	if j.repeat.Seq > 0 {
		seq, expires, id = j.repeat.Seq, j.repeat.ExpiresMS, j.repeat.ID
	}
	if seq > 0 {
		s.sweep.table.stored(j.ref, seq, id, expires, sure, time.Now())
	}
}

// yes is the answer for a stored message. A repeated one is answered with
// prev = seq-1: where its predecessor was is not known any more, and with this
// a room writes it only where nothing can lie between, else it loads.
func (j *appendJob) yes() *api.AppendResult {
	if j.repeat.Seq > 0 {
		return &api.AppendResult{Seq: j.repeat.Seq, Prev: j.repeat.Seq - 1, Id: j.repeat.ID, ExpiresMs: j.repeat.ExpiresMS, Duplicate: true}
	}
	return &api.AppendResult{Seq: j.stored.Seq, Prev: j.stored.Prev, Id: j.message.Id, ExpiresMs: j.message.ExpiresMs}
}

// row is the job's ledger row: under the first push's id, seq and expiry when
// the dedup_id was seen before.
func (j *appendJob) row() (ledger.Row, error) {
	m := j.message
	r := ledger.Row{Slot: j.ref.Slot, Seq: j.stored.Seq, Product: j.ref.Product, Device: j.ref.Device, ID: m.Id,
		AcceptedMS: m.AcceptedMs, ExpiresMS: m.ExpiresMs, DedupID: m.DedupId, CollapseKey: m.CollapseKey, Body: j.body}
	if j.repeat.Seq == 0 {
		return r, nil
	}
	first := proto.CloneOf(m)
	first.Id, first.ExpiresMs = j.repeat.ID, j.repeat.ExpiresMS
	body, err := proto.Marshal(first)
	r.Seq, r.ID, r.ExpiresMS, r.Body = j.repeat.Seq, j.repeat.ID, j.repeat.ExpiresMS, body
	return r, err
}

// outlived adds the row that this message replaced when it needs a mark. Of the
// rows with one collapse key only the highest seq counts, so none is needed,
// unless the row that proves it is dropped on an earlier day.
func (j *appendJob) outlived(keys []ledger.Key) []ledger.Key {
	old := ledger.DayOf(j.stored.ReplacedExpiresMS)
	if j.stored.ReplacedSeq == 0 || old <= ledger.DayOf(j.message.ExpiresMs) {
		return keys
	}
	return append(keys, ledger.Key{Slot: j.ref.Slot, Seq: j.stored.ReplacedSeq, ExpiryDay: old})
}

// commit brings the jobs' rows into the next group commit and waits for it.
func (s *Saver) commit(ctx context.Context, jobs []*appendJob) error {
	if s.seams.commitError != nil {
		if err := s.seams.commitError(); err != nil {
			return err
		}
	}
	var b ledger.Batch
	for _, j := range jobs {
		r, err := j.row()
		if err != nil {
			return err
		}
		if j.repeat.Seq > 0 {
			b.Again = append(b.Again, r)
			continue
		}
		b.Fresh = append(b.Fresh, r)
		b.Replaced = j.outlived(b.Replaced)
	}
	return s.commits.do(ctx, b)
}

// void marks the fresh rows of a run that is gone. Rows of a repeated push stay:
// the first push may have been answered yes. When the mark fails, a later
// rebuild may bring the message: UNKNOWN allows that.
func (s *Saver) void(ctx context.Context, jobs []*appendJob) {
	var keys, replaced []ledger.Key
	for _, j := range jobs {
		if j.repeat.Seq == 0 {
			replaced = j.outlived(replaced)
			keys = append(keys, ledger.Key{Slot: j.ref.Slot, Seq: j.stored.Seq, ExpiryDay: ledger.DayOf(j.message.ExpiresMs)})
		}
	}
	vctx, cancel := context.WithTimeout(ctx, s.cfg.Ledger.Timeout.Std())
	defer cancel()
	err := s.ledger.Void(vctx, keys, replaced)
	s.troubles.void.saw(len(keys), err)
}

func (s *Saver) countAppend(j *appendJob) {
	result := code.Code(j.result.GetResult().GetCode()).String()
	if j.result.GetDuplicate() {
		result = "DUPLICATE"
	} else if j.stored.ReplacedSeq > 0 && j.result.Result == nil {
		s.metrics.drops.WithLabelValues(code.DropReplaced.String()).Inc()
	}
	s.metrics.appends.WithLabelValues(result).Inc()
}

// appendJobOf checks an item; the error names the field.
func (s *Saver) appendJobOf(it *api.AppendItem) (*appendJob, *code.Error) {
	m := it.GetMessage()
	if e := checkLane(it.Device, it.Product); e != nil {
		return nil, e
	}
	switch {
	case m == nil:
		return nil, code.Invalid("message", "is missing")
	case !wire.ValidName(m.Id):
		return nil, code.Invalid("id", "must be 1 to 64 of A-Z a-z 0-9 . _ ~ -")
	case m.CollapseKey != "" && !wire.ValidName(m.CollapseKey):
		return nil, code.Invalid("collapse_key", "must be 1 to 64 of A-Z a-z 0-9 . _ ~ -")
	case m.DedupId != "" && !wire.ValidName(m.DedupId):
		return nil, code.Invalid("dedup_id", "must be 1 to 64 of A-Z a-z 0-9 . _ ~ -")
	case m.Qos != 1:
		return nil, code.Invalid("qos", "only qos 1 is stored, not %s", strconv.Itoa(int(m.Qos)))
	case m.ExpiresMs > time.Now().Add(maxTTL).UnixMilli():
		return nil, code.Invalid("ttl", "must be at most 30 days")
	}
	body, err := proto.Marshal(m)
	if err != nil {
		return nil, code.Invalid("message", "cannot be encoded")
	}
	if len(body) > maxBody {
		return nil, code.Errorf(code.PayloadTooLarge, "the message has %d bytes, at most %d can be stored", len(body), maxBody).WithField("payload")
	}
	return &appendJob{message: m, body: body, task: task[*api.AppendResult]{ref: lane.RefOf(it.Product, it.Device), until: until(it.Meta)}}, nil
}

// maxTTL is 30 days and an hour for what lies between the hosts' clocks.
const maxTTL = (30*24 + 1) * time.Hour

// maxBody bounds a stored message: the ledger's column and the lane's pages are
// made for center's 64 KiB of payload with its heads, not for more.
const maxBody = 1 << 20
