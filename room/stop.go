package room

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"longlink/pkg/code"
)

// dismiss tells every device of the loop to go elsewhere.
func (l *loop) dismiss() {
	l.wheel.each(func(c *conn) {
		defer l.guard(c)
		c.bye(code.Shutdown, l.room.comeBack(), "the room is stopping")
	})
}

// comeBack is a device's hint in ms at shutdown: spread, so that they do not
// all arrive elsewhere at once.
func (r *Room) comeBack() uint32 {
	hint := int64(code.Shutdown.Row().RetryMS)
	if spread := time.Duration(r.cfg.ShutdownSpread).Milliseconds(); spread > 0 {
		hint += rand.Int64N(spread)
	}
	return uint32(hint)
}

// engineLog is gnet's logger on slog. gnet keeps one for the whole process;
// rooms of one process share a log, so the last one set is as good as any.
type engineLog struct{ log *slog.Logger }

func (e engineLog) Debugf(format string, args ...any) {
	e.log.Debug(fmt.Sprintf("gnet: "+format, args...))
}
func (e engineLog) Infof(format string, args ...any) {
	e.log.Debug(fmt.Sprintf("gnet: "+format, args...))
}
func (e engineLog) Warnf(format string, args ...any) {
	e.log.Warn(fmt.Sprintf("gnet: "+format, args...))
}
func (e engineLog) Errorf(format string, args ...any) {
	e.log.Error(fmt.Sprintf("gnet: "+format, args...))
}

// Fatalf only logs: the engine's end is Run's to report.
func (e engineLog) Fatalf(format string, args ...any) {
	e.log.Error(fmt.Sprintf("gnet: "+format, args...))
}
