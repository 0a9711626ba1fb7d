package center

import (
	"context"
	"time"

	"longlink/pkg/api"
	"longlink/pkg/cluster"
	"longlink/pkg/code"
	"longlink/pkg/rpc"
)

const (
	// eventRows is how many rows a page has at most; saver bounds its bytes.
	eventRows = 500
	// eventReads is how many pages a follower asks for, and holds, at once.
	eventReads = 4
	// eventCall bounds a call below the patience with the reader.
	eventCall = 5 * time.Second
)

// logReader reads the upstream log for one follower, through any saver: it stays
// with one until that fails.
type logReader struct {
	s             *server
	product, kind string
	home          uint64 // number of the saver, modulo how many there are
	fails         int    // since the last turn in which every call was answered
}

// ask makes one call.
func (l *logReader) ask(ctx context.Context, do func(ctx context.Context, c api.SaverClient) error) *code.Error {
	savers := l.s.deps.Peers.Views().View().Kind(cluster.Saver)
	if len(savers) == 0 {
		return code.Errorf(code.Unavailable, "no saver in the cluster")
	}
	ctx, cancel := context.WithTimeout(ctx, min(l.s.cfg.CallTimeout.Std(), eventCall))
	defer cancel()
	cc, err := l.s.deps.Peers.Conn(savers[l.home%uint64(len(savers))].RPC)
	if err == nil {
		err = do(ctx, api.NewSaverClient(cc))
	}
	return rpc.FromStatus(err)
}

// away notes a turn in which a call failed: the next saver is asked from now
// on. It tells whether that was the last one there is, for the first time.
func (l *logReader) away() (all bool) {
	l.s.metrics.eventFailures.Inc()
	l.home++
	l.fails++
	return l.fails == max(1, len(l.s.deps.Peers.Views().View().Kind(cluster.Saver)))
}

// heads is how far each partition's log is.
func (l *logReader) heads(ctx context.Context) (p positions, err *code.Error) {
	err = l.ask(ctx, func(ctx context.Context, c api.SaverClient) error {
		rep, err := c.UpstreamHeads(ctx, &api.UpstreamHeadsRequest{})
		if err != nil {
			return err
		}
		if len(rep.Heads) != len(p) {
			return code.Errorf(code.Internal, "saver told %d heads of %d", len(rep.Heads), len(p))
		}
		copy(p[:], rep.Heads)
		return nil
	})
	return p, err
}

// pages reads one page of each of the parts named, behind the positions; nil
// for those that could not be read, because of err.
func (l *logReader) pages(ctx context.Context, parts []int, at *positions) ([]*api.ReadUpstreamReply, *code.Error) {
	out := make([]*api.ReadUpstreamReply, len(parts))
	failed := make([]*code.Error, len(parts))
	l.s.each(ctx, "center.events", len(parts), eventReads, func(ctx context.Context, i int) {
		failed[i] = l.ask(ctx, func(ctx context.Context, c api.SaverClient) (err error) {
			out[i], err = c.ReadUpstream(ctx, &api.ReadUpstreamRequest{Part: uint32(parts[i]), After: at[parts[i]], Limit: eventRows, Product: l.product, Kind: l.kind})
			return err
		})
		if failed[i] != nil {
			out[i] = nil
		}
	})
	for _, err := range failed {
		if err != nil {
			return out, err
		}
	}
	return out, nil
}
