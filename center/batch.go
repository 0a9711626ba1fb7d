package center

import (
	"context"
	"time"

	"longlink/pkg/api"
	"longlink/pkg/code"
	"longlink/pkg/rpc"
)

// PushBatch implements api.CenterServer: every message is answered in its place
// as Push would answer it, and a bad one fails alone. The messages for one
// device and product are stored in their order. A batch waits for no acks.
func (s *server) PushBatch(ctx context.Context, r *api.PushBatchRequest) (*api.PushBatchReply, error) {
	began := time.Now()
	if _, err := caller(ctx); err != nil {
		return nil, err
	}
	if err := checkBatch(len(r.Messages)); err != nil {
		return nil, err
	}
	out := &api.PushBatchReply{Results: make([]*api.PushBatchResult, len(r.Messages))}
	planned := make([]*push, len(r.Messages)) // nil: refused
	var good []*push
	for i, m := range r.Messages {
		p, err := s.planOfBatch(ctx, m, began)
		if err != nil {
			out.Results[i] = &api.PushBatchResult{Error: rpc.ResultOf(err)}
			continue
		}
		planned[i] = p
		good = append(good, p)
	}
	s.lookUp(ctx, good)
	var admitted []*push
	for i, p := range planned {
		if p == nil {
			continue
		}
		if err := s.admit(p); err != nil {
			out.Results[i], planned[i] = &api.PushBatchResult{Error: rpc.ResultOf(err)}, nil
			continue
		}
		admitted = append(admitted, p)
	}
	if len(admitted) == 0 {
		return out, nil
	}
	f := newFlight(s, rpc.RequestID(ctx), began, admitted...)
	defer s.start(f)()
	if err := f.awaitStored(ctx); err != nil {
		return nil, err
	}
	f.handedOver(ctx)
	for i, p := range planned {
		if p == nil {
			continue
		}
		reply, err := f.reply(r.Messages[i], p)
		if err != nil {
			out.Results[i] = &api.PushBatchResult{Error: rpc.ResultOf(err)}
			continue
		}
		out.Results[i] = &api.PushBatchResult{Id: reply.Id, Results: reply.Results}
	}
	return out, nil
}

// planOfBatch checks one message of a batch.
func (s *server) planOfBatch(ctx context.Context, m *api.PushRequest, now time.Time) (*push, error) {
	if m.WaitMs != 0 {
		return nil, code.Invalid("wait", "is not possible in a batch; push the message on its own")
	}
	return s.plan(ctx, m, now)
}

func checkBatch(messages int) *code.Error {
	switch {
	case messages == 0:
		return code.Invalid("messages", "give at least one message")
	case messages > maxBatch:
		return code.Errorf(code.TooManyTargets, "%d messages, at most %d are taken; split the batch", messages, maxBatch).WithField("messages")
	}
	return nil
}

// restPushBatch decodes every message on its own, so that one that cannot be
// read fails alone too.
func (s *server) restPushBatch(ctx context.Context, r *request) (any, error) {
	var b batchBody
	if err := decodeObject(r.body, &b); err != nil {
		return nil, err
	}
	if err := checkBatch(len(b.Messages)); err != nil {
		return nil, err
	}
	out := batchAnswer{Results: make([]batchResult, len(b.Messages))}
	req := &api.PushBatchRequest{}
	var places []int // of the request's messages
	for i, raw := range b.Messages {
		m, err := pushOf(raw)
		if err != nil {
			out.Results[i] = batchResult{Error: errorOf(err)}
			continue
		}
		req.Messages = append(req.Messages, m)
		places = append(places, i)
	}
	if len(places) == 0 {
		return out, nil
	}
	rep, err := s.PushBatch(ctx, req)
	if err != nil {
		return nil, err
	}
	for n, i := range places {
		out.Results[i] = answerBatchResult(rep.Results[n])
	}
	return out, nil
}

func pushOf(raw []byte) (*api.PushRequest, *code.Error) {
	var b pushBody
	if err := decode(raw, &b); err != nil {
		if err.Code == code.Malformed {
			err = code.Errorf(code.Malformed, "the message is not a JSON object in UTF-8")
		}
		return nil, err
	}
	return b.request()
}
