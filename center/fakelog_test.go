package center

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"

	"longlink/pkg/api"
	"longlink/pkg/code"
	"longlink/pkg/slot"
	"longlink/pkg/wire"
)

// fakeLog is the upstream log of a ledger.
type fakeLog struct {
	mu    sync.Mutex
	clock uint64
	upID  uint64
	page  int // rows of a page at most
	rows  [partitions][]*api.UpstreamRow
	reads int
	// refuse is asked before every call; nil: answer it.
	refuse func() *code.Error
	broken func(part int) bool // partitions that cannot be read
}

func (l *fakeLog) set(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
}

// add appends a row and returns the event's id.
func (l *fakeLog) add(it *api.UpItem) (id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clock = max(l.clock+1, uint64(time.Now().UnixMicro()))
	l.upID++
	it.UpId, it.ReceivedMs = l.upID, int64(l.clock/1000)
	part := int(slot.Tag(slot.Of(it.Device)))
	row := &api.UpstreamRow{Seq: l.clock, Item: it}
	l.rows[part] = append(l.rows[part], row)
	return eventOf(part, row).Id
}

// text appends a text of demo.
func (l *fakeLog) text(device, text string) (id string) {
	return l.add(&api.UpItem{Device: device, Product: "demo", Kind: "chat", Flags: wire.FlagText, Payload: []byte(text)})
}

func (l *fakeLog) heads() (*api.UpstreamHeadsReply, *code.Error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refuse != nil {
		if err := l.refuse(); err != nil {
			return nil, err
		}
	}
	out := &api.UpstreamHeadsReply{Heads: make([]uint64, partitions)}
	for i, rows := range l.rows {
		if len(rows) > 0 {
			out.Heads[i] = rows[len(rows)-1].Seq
		}
	}
	return out, nil
}

func (l *fakeLog) read(r *api.ReadUpstreamRequest) (*api.ReadUpstreamReply, *code.Error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reads++
	if l.refuse != nil {
		if err := l.refuse(); err != nil {
			return nil, err
		}
	}
	if l.broken != nil && l.broken(int(r.Part)) {
		return nil, code.Errorf(code.Internal, "broken")
	}
	out := &api.ReadUpstreamReply{Read: r.After}
	for _, row := range l.rows[r.Part] {
		if row.Seq <= r.After {
			continue
		}
		if it := row.GetItem(); it.GetProduct() == r.Product && (r.Kind == "" || it.GetKind() == r.Kind) {
			if len(out.Rows) == min(int(r.Limit), l.page) {
				return out, nil
			}
			out.Rows = append(out.Rows, row)
		}
		out.Read = row.Seq
	}
	return out, nil
}

func registerSaver(f *fakeSaver) func(grpc.ServiceRegistrar) {
	return func(r grpc.ServiceRegistrar) { api.RegisterSaverServer(r, f) }
}

func (f *fakeSaver) isDown() *code.Error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.down
}

func (f *fakeSaver) UpstreamHeads(context.Context, *api.UpstreamHeadsRequest) (*api.UpstreamHeadsReply, error) {
	err := f.isDown()
	if err == nil {
		var rep *api.UpstreamHeadsReply
		if rep, err = f.log.heads(); err == nil {
			return rep, nil
		}
	}
	return nil, err
}

func (f *fakeSaver) ReadUpstream(_ context.Context, r *api.ReadUpstreamRequest) (*api.ReadUpstreamReply, error) {
	err := f.isDown()
	if err == nil {
		var rep *api.ReadUpstreamReply
		if rep, err = f.log.read(r); err == nil {
			return rep, nil
		}
	}
	return nil, err
}

func (f *fakeSaver) Find(_ context.Context, r *api.FindRequest) (*api.FindReply, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down != nil {
		return nil, f.down
	}
	out := &api.FindReply{}
	if r.Id == "m-1" {
		out.Messages = slices.Clone(f.found)
	}
	for lane, list := range f.lanes {
		device, product, _ := strings.Cut(lane, "/")
		for _, m := range list {
			if m.Message.Id == r.Id {
				out.Messages = append(out.Messages, &api.FoundMessage{Product: product, Device: device, Seq: m.Seq, State: api.FoundMessage_STATE_STORED, AcceptedMs: m.Message.AcceptedMs, ExpiresMs: m.Message.ExpiresMs})
			}
		}
	}
	out.Messages = slices.DeleteFunc(out.Messages, func(m *api.FoundMessage) bool { return r.Product != "" && m.Product != r.Product })
	return out, nil
}

func foundMessage(product, device string) *api.FoundMessage {
	return &api.FoundMessage{Product: product, Device: device, Seq: 1_700_000_000_000_001, State: api.FoundMessage_STATE_STORED, AcceptedMs: 1_700_000_000_000, ExpiresMs: 1_700_000_060_000}
}
