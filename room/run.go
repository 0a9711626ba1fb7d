package room

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/panjf2000/gnet/v2"
	"google.golang.org/grpc"

	"longlink/pkg/api"
	"longlink/pkg/lifecycle"
)

// Register implements service.Service.
func (r *Room) Register(s grpc.ServiceRegistrar) { api.RegisterRoomServer(s, r) }

// Run implements lifecycle.Runner. Listen has succeeded before.
func (r *Room) Run(ctx context.Context, ready func()) error {
	if len(r.acceptors) == 0 {
		return errors.New("room: Run before Listen")
	}
	defer r.closeListeners()
	// What serves connections outlives ctx: stopping needs it.
	g := lifecycle.NewGroup(context.WithoutCancel(ctx), r.log, r.deps.Life)
	r.mu.Lock()
	r.group = g
	r.mu.Unlock()
	if err := r.startEngine(); err != nil {
		return err
	}
	for range r.auth.workers {
		g.Go("room auth", r.authWorker)
	}
	g.Go("room ticker", r.tickLoops)
	g.Go("room refill", r.refillLoop)
	g.Go("room products", r.productLoop)
	accepting := lifecycle.NewGroup(g.Context(), r.log, r.deps.Life)
	for _, a := range r.acceptors {
		accepting.Go("room acceptor", a.run)
	}
	ready()
	select {
	case <-ctx.Done():
	case <-accepting.Context().Done(): // failed, or the group did
	}
	err := r.stop(accepting, g)
	return err
}

func (r *Room) startEngine() error {
	loops := r.cfg.Loops
	if loops == 0 {
		loops = runtime.GOMAXPROCS(0)
	}
	engine, err := gnet.NewClient(&handler{room: r},
		gnet.WithNumEventLoop(loops),
		gnet.WithReadBufferCap(readTurn),
		gnet.WithWriteBufferCap(writeChunk),
		gnet.WithTCPNoDelay(gnet.TCPDelay), // net.Listener has set TCP_NODELAY already
		gnet.WithLogger(engineLog{r.log}))
	if err == nil {
		err = engine.Start()
	}
	if err != nil {
		return fmt.Errorf("room: the event loops did not start: %w", err)
	}
	r.engine = engine
	return nil
}

// Parts of the two seconds that stopping may take.
const (
	stopCalls = time.Second            // for the last acks and unregistrations
	stopLeave = 300 * time.Millisecond // for devices to read BYE and close
)

// stop is the story of the end:
//
//  1. no connection is accepted any more;
//  2. every device is told BYE SHUTDOWN with its own hint; sessions end, which
//     sends their last acks and unregisters them;
//  3. those calls are answered, within a second;
//  4. devices close, within 300 ms; those that do not are closed by
//  5. the end of the engine, after which no loop runs;
//  6. ticker, workers and wakers end.
func (r *Room) stop(accepting, g *lifecycle.Group) error {
	began := time.Now()
	r.stopping.Store(true)
	r.closeListeners()
	accepting.Cancel()
	err := accepting.Wait()

	base := g.Context()
	ctx, cancel := context.WithTimeout(base, stopCalls)
	defer cancel()
	r.dismiss(ctx)
	if left := r.calls.wait(ctx); left > 0 {
		r.log.Warn("stopped before every ack, upstream data and unregistration was answered", "left", left)
	}
	r.awaitClosed(stopLeave)
	r.refused.close()

	for _, l := range r.allLoops() {
		l.stop()
	}
	close(r.ended)
	if serr := r.engine.Stop(); err == nil {
		err = serr
	}
	g.Cancel()
	if gerr := g.Wait(); err == nil {
		err = gerr
	}
	r.log.Info("room stopped", "took", time.Since(began))
	return err
}

// dismiss says BYE on every loop and returns when all have done so.
func (r *Room) dismiss(ctx context.Context) {
	loops := r.allLoops()
	done := make(chan struct{}, len(loops))
	for _, l := range loops {
		if !l.post(taskFunc(func(l *loop) { l.dismiss(); done <- struct{}{} })) {
			done <- struct{}{}
		}
	}
	for range loops {
		select {
		case <-done:
		case <-ctx.Done():
			return
		}
	}
}

// awaitClosed waits until the devices have closed their connections.
func (r *Room) awaitClosed(most time.Duration) {
	t := time.NewTicker(5 * time.Millisecond)
	defer t.Stop()
	for end := time.Now().Add(most); r.connections.Load() > 0 && time.Now().Before(end); {
		<-t.C
	}
}
