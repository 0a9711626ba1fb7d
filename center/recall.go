package center

import (
	"context"

	"longlink/pkg/api"
	"longlink/pkg/code"
	"longlink/pkg/slot"
)

// RecallMessage implements api.CenterServer: the message leaves the lanes in
// which it waits, and is not written to a device any more. What a device has, it
// has. A repetition repeats the answer, and is what to do after any error.
func (s *server) RecallMessage(ctx context.Context, r *api.RecallMessageRequest) (*api.RecallMessageReply, error) {
	product, err := s.productOrAny(ctx, r.Product)
	if err != nil {
		return nil, err
	}
	if err := checkID("id", r.Id); err != nil {
		return nil, err
	}
	var rep *api.RecallReply
	err = s.askSaver(ctx, slot.Of(r.Id), func(ctx context.Context, c api.SaverClient) (err error) {
		rep, err = c.Recall(ctx, &api.RecallRequest{Product: product, Id: r.Id})
		return err
	})
	if err != nil {
		if err.Code == code.NotFound {
			err = code.Errorf(code.NotFound, "there is no message %s here; it may be of another product, or have gone some days after it expired", r.Id).WithField("id")
		}
		return nil, err
	}
	return &api.RecallMessageReply{Id: r.Id, Recalled: rep.Recalled, Targets: rep.Targets}, nil
}

type recallAnswer struct {
	ID       string `json:"id"`
	Recalled uint32 `json:"recalled"`
	Targets  uint32 `json:"targets"`
}

func answerRecall(r *api.RecallMessageReply) recallAnswer {
	return recallAnswer{r.GetId(), r.GetRecalled(), r.GetTargets()}
}

func (s *server) restRecall(ctx context.Context, r *request) (any, error) {
	if err := r.optional(&struct{}{}); err != nil {
		return nil, err
	}
	rep, err := s.RecallMessage(ctx, &api.RecallMessageRequest{Id: r.id, Product: r.query.Get("product")})
	if err != nil {
		return nil, err
	}
	return answerRecall(rep), nil
}
