package saver

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"

	"longlink/pkg/api"
	"longlink/pkg/code"
	"longlink/pkg/rpc"
	"longlink/pkg/wire"
	"longlink/saver/lane"
)

// loadJob is one page to be read.
type loadJob struct {
	task[*api.LoadResult]
	item lane.LoadItem
}

func (j *loadJob) fail(e *code.Error) { j.answer(&api.LoadResult{Result: rpc.ResultOf(e)}) }

func (s *Saver) load(ctx context.Context, c *lane.Conn, jobs []*loadJob) (unready []*loadJob, err error) {
	items := make([]lane.LoadItem, len(jobs))
	for i, j := range jobs {
		items[i] = j.item
	}
	start := time.Now()
	pages, err := c.Load(ctx, items)
	s.metrics.script("load", start)
	if err != nil {
		return nil, err
	}
	for i, j := range jobs {
		p := pages[i]
		if p.Status == lane.NotReady {
			unready = append(unready, j)
			continue
		}
		s.metrics.expired(p.Expired)
		if j.item.Login && p.Cursor > 0 {
			s.passed(j.ref, p.Cursor)
		}
		j.answer(s.page(j, p))
	}
	return unready, nil
}

// page is the answer; a body that cannot be read is left out, as if it had
// expired, or it would block its lane for ever.
func (s *Saver) page(j *loadJob, p lane.Page) *api.LoadResult {
	r := &api.LoadResult{More: p.More, Tail: p.Tail, AsOf: p.Clock}
	if j.item.Login {
		r.Cursor = p.Cursor
	}
	for i, e := range p.Elements {
		m := &api.Message{}
		if err := proto.Unmarshal(e.Body, m); err != nil {
			s.troubles.unreadable.saw(1, err, "product", j.ref.Product, "device", j.ref.Device, "seq", e.Seq)
			continue
		}
		s.troubles.unreadable.fine()
		s.traceLoaded(j.ref, e.Seq, m)
		r.Messages = append(r.Messages, &api.LaneMessage{Seq: e.Seq, Prev: p.Prevs[i], Message: m})
	}
	return r
}

// replyBytes bounds the messages of one LoadReply, well under what RPC takes.
const replyBytes = 32 << 20

// loadJobOf checks an item; n items share a reply.
func (s *Saver) loadJobOf(it *api.LoadItem, n int) (*loadJob, *code.Error) {
	if e := checkLane(it.Device, it.Product); e != nil {
		return nil, e
	}
	if it.Alias != "" && !wire.ValidName(it.Alias) {
		return nil, code.Invalid("alias", "must be 1 to 64 of A-Z a-z 0-9 . _ ~ -")
	}
	ref := lane.RefOf(it.Product, it.Device)
	most := func(asked uint32, limit int) int {
		if asked == 0 {
			return limit
		}
		return int(min(int64(asked), int64(limit)))
	}
	return &loadJob{task: task[*api.LoadResult]{ref: ref, until: until(it.Meta)}, item: lane.LoadItem{
		Ref: ref, After: it.After, Login: it.Login,
		MaxMessages: most(it.MaxMessages, s.cfg.Page.MaxMessages),
		MaxBytes:    min(most(it.MaxBytes, int(s.cfg.Page.MaxBytes)), replyBytes/n),
	}}, nil
}
