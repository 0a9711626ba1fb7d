package center

import (
	"context"
	"strings"
	"time"

	"longlink/pkg/api"
	"longlink/pkg/cluster"
	"longlink/pkg/code"
	"longlink/pkg/rpc"
	"longlink/pkg/slot"
)

// maxSteps bounds the steps of a trace; the oldest ones are told.
const maxSteps = 4000

// TraceMessage implements api.CenterServer: what the ledger knows of a message,
// and the steps that savers, centers and rooms remember, each by its own clock.
// Those that did not answer are named. While the ledger cannot be read the
// memories are told alone.
func (s *server) TraceMessage(ctx context.Context, r *api.TraceMessageRequest) (*api.MessageTrace, error) {
	product, err := s.productOrAny(ctx, r.Product)
	if err != nil {
		return nil, err
	}
	if err := checkID("id", r.Id); err != nil {
		return nil, err
	}
	out := &api.MessageTrace{Id: r.Id}
	found, err := s.find(ctx, r.Id, product)
	req := &api.TraceRequest{Id: r.Id, Product: product}
	for _, m := range found {
		if product != "" && m.Product != product {
			continue
		}
		out.Targets = append(out.Targets, &api.MessageTarget{Product: m.Product, Device: m.Device, Seq: m.Seq, State: messageState(m.State),
			AcceptedMs: m.AcceptedMs, ExpiresMs: m.ExpiresMs})
		req.Targets = append(req.Targets, &api.TraceTarget{Product: m.Product, Device: m.Device, Seq: m.Seq})
	}
	t := newTracer(s, req)
	if err != nil {
		s.log.Warn("the ledger was not asked for a trace", "request_id", rpc.RequestID(ctx), "err", err)
		t.unanswered(s.ledgerOf(r.Id))
	}
	t.ask(ctx)
	out.Events, out.Silent = t.result()
	switch {
	case len(out.Targets)+len(out.Events) > 0:
		return out, nil
	case err != nil:
		return nil, code.Errorf(code.Unavailable, "nobody remembers the message, and the ledger cannot be asked: %s", err.Message)
	}
	return nil, code.Errorf(code.NotFound, "there is no message %s that is known here; messages are forgotten some days after they expired", r.Id).WithField("id")
}

// find is the ledger's rows of a message; none where it knows nothing.
func (s *server) find(ctx context.Context, id, product string) (rows []*api.FoundMessage, err *code.Error) {
	err = s.askSaver(ctx, slot.Of(id), func(ctx context.Context, c api.SaverClient) error {
		rep, err := c.Find(ctx, &api.FindRequest{Id: id, Product: product})
		rows = rep.GetMessages()
		return err
	})
	if err != nil && err.Code == code.NotFound {
		return nil, nil
	}
	return rows, err
}

// ledgerOf is the saver that should have found a message.
func (s *server) ledgerOf(id string) string {
	if i, ok := s.deps.Peers.Views().View().Owner(cluster.Saver, slot.Of(id)); ok {
		return i.ID
	}
	return string(cluster.Saver)
}

// messageState is the word for a state of the ledger.
func messageState(s api.FoundMessage_State) string {
	return strings.ToLower(strings.TrimPrefix(s.String(), "STATE_"))
}

// The bodies of REST.

type traceAnswer struct {
	ID      string         `json:"id"`
	Targets []targetAnswer `json:"targets"`
	Events  []stepAnswer   `json:"events"`
	Silent  []string       `json:"silent"`
}

type targetAnswer struct {
	Product  string `json:"product"`
	Device   string `json:"device"`
	Seq      uint64 `json:"seq"`
	State    string `json:"state"`
	Accepted string `json:"accepted"`
	Expires  string `json:"expires"`
}

type stepAnswer struct {
	Time    string `json:"time"`
	Stage   string `json:"stage"`
	Node    string `json:"node"`
	Product string `json:"product,omitempty"`
	Device  string `json:"device,omitempty"`
	Seq     uint64 `json:"seq,omitempty"`
	Code    string `json:"code,omitempty"`
	Detail  string `json:"detail,omitempty"`
}

func answerTrace(m *api.MessageTrace) traceAnswer {
	out := traceAnswer{ID: m.Id, Targets: make([]targetAnswer, len(m.Targets)), Events: make([]stepAnswer, len(m.Events)), Silent: append([]string{}, m.Silent...)}
	for i, t := range m.Targets {
		out.Targets[i] = targetAnswer{t.Product, t.Device, t.Seq, t.State, timestamp(t.AcceptedMs), timestamp(t.ExpiresMs)}
	}
	for i, e := range m.Events {
		out.Events[i] = stepAnswer{Time: time.UnixMicro(e.AtUs).UTC().Format("2006-01-02T15:04:05.000000Z"), Stage: e.Stage, Node: e.Node,
			Product: e.Product, Device: e.Device, Seq: e.Seq, Detail: e.Detail}
		if e.Code != 0 {
			out.Events[i].Code = code.Code(e.Code).String()
		}
	}
	return out
}

func (s *server) restTrace(ctx context.Context, r *request) (any, error) {
	m, err := s.TraceMessage(ctx, &api.TraceMessageRequest{Id: r.id, Product: r.query.Get("product")})
	if err != nil {
		return nil, err
	}
	return answerTrace(m), nil
}
