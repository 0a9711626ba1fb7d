package center

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc"

	"longlink/pkg/api"
	"longlink/pkg/cluster"
	"longlink/pkg/code"
	"longlink/pkg/rpc"
	"longlink/pkg/slot"
)

// eventPing is how long a stream of events is silent at most.
const eventPing = 15 * time.Second

// Events implements api.CenterServer: what comes from a product's devices, from
// now on, from some time ago, or from behind a cursor, which wins over since.
// Every event that is in the log comes at least once, and those of a device in
// their order. It ends when the caller goes, when the key or the product ends
// (UNAUTHENTICATED, UNKNOWN_PRODUCT), with the center (SHUTDOWN) or when the
// caller reads nothing.
func (s *server) Events(r *api.EventsRequest, stream grpc.ServerStreamingServer[api.Event]) error {
	ctx := stream.Context()
	return s.follow(ctx, r, eventMessages{stream, stayOf(ctx).life})
}

// restEvents is Events as server-sent events. A stream that has begun ends with
// a comment that says why.
func (s *server) restEvents(ctx context.Context, r *request, out *eventStream) error {
	req := &api.EventsRequest{Product: r.query.Get("product"), Kind: r.query.Get("kind"), Cursor: r.query.Get("cursor")}
	if r.lastEvent != "" { // of a reader that connects again by itself
		req.Cursor = r.lastEvent
	}
	if v := r.query.Get("since"); v != "" {
		d, err := parsePeriod(v)
		if err != nil {
			return err.WithField("since")
		}
		req.SinceMs = d.millis()
	}
	err := s.follow(ctx, req, out)
	var e *code.Error
	if errors.As(err, &e) && out.begun {
		out.goodbye(e)
	}
	return err
}

// follow serves one follower until it ends; nil when that was the caller's wish.
func (s *server) follow(ctx context.Context, r *api.EventsRequest, out eventSink) error {
	f, err := s.newFollower(ctx, r, out)
	if err != nil {
		return err
	}
	who, err := caller(ctx)
	if err != nil {
		return err
	}
	leave, err := s.followers.join(who)
	if err != nil {
		return err
	}
	defer leave()
	work, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.followers.closing, cancel)()
	if err := f.begin(work, r, time.Now()); err != nil {
		return err
	}
	stayOf(ctx).begun()
	end := f.tell(time.Now())
	if end == nil {
		end = f.run(work)
	}
	switch {
	case s.followers.closing.Err() != nil:
		return errStopping()
	case !errors.Is(end, errLeft) && ctx.Err() == nil:
		return end
	case stayOf(ctx).life.passed(time.Now()):
		return code.Errorf(code.Deadline, "the reader took nothing for %s", s.followers.patience)
	}
	return nil
}

// newFollower checks what the caller asks for.
func (s *server) newFollower(ctx context.Context, r *api.EventsRequest, out eventSink) (*follower, *code.Error) {
	name, err := s.productFor(ctx, r.Product)
	if err != nil {
		return nil, err
	}
	p, ok := s.deps.Directory.Product(name)
	if !ok {
		return nil, code.Errorf(code.UnknownProduct, "there is no product %s", name).WithField("product")
	}
	if r.Kind != "" {
		if err := checkID("kind", r.Kind); err != nil {
			return nil, err
		}
	}
	if r.SinceMs < 0 {
		return nil, code.Invalid("since", "must not be negative")
	}
	f := &follower{s: s, out: out, product: name, incarnation: p.Incarnation, still: stayOf(ctx).still, life: stayOf(ctx).life,
		log: logReader{s: s, product: name, kind: r.Kind, home: slot.Key(rpc.RequestID(ctx))}}
	if r.Cursor != "" {
		f.at, err = parsePositions(r.Cursor)
	}
	return f, err
}

// begin finds where to begin. Only "now" needs a saver for that.
func (f *follower) begin(ctx context.Context, r *api.EventsRequest, now time.Time) *code.Error {
	switch {
	case r.Cursor != "":
		return nil
	case r.SinceMs > 0:
		from := uint64(now.UnixMilli()-min(r.SinceMs, now.UnixMilli())) * 1000
		for i := range f.at {
			f.at[i] = from
		}
		return nil
	}
	var err *code.Error
	for range max(1, len(f.s.deps.Peers.Views().View().Kind(cluster.Saver))) {
		if f.at, err = f.log.heads(ctx); err == nil {
			break
		}
		f.log.away()
	}
	f.log.fails = 0
	return err
}
