package keeper

import (
	"context"
	"log/slog"
	"sync/atomic"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// newZap makes the logger that etcd asks for out of ours. etcd tells at info
// what interests its developers, so that becomes debug. So does everything
// outside the time in which it serves: a failed start is an error of
// StartEmbedded, and at a stop every listener reports that it was closed. What
// it calls fatal panics instead of ending the process unheard.
func newZap(log *slog.Logger, serving *atomic.Bool) *zap.Logger {
	return zap.New(zapCore{log: log.With("part", "etcd"), serving: serving},
		zap.WithFatalHook(zapcore.WriteThenPanic))
}

type zapCore struct {
	log     *slog.Logger
	serving *atomic.Bool
}

func (c zapCore) level(l zapcore.Level) slog.Level {
	switch {
	case l <= zapcore.InfoLevel, !c.serving.Load():
		return slog.LevelDebug
	case l == zapcore.WarnLevel:
		return slog.LevelWarn
	}
	return slog.LevelError
}

func (c zapCore) Enabled(l zapcore.Level) bool {
	return c.log.Enabled(context.Background(), c.level(l))
}

func (c zapCore) With(fields []zapcore.Field) zapcore.Core {
	c.log = c.log.With(attrs(fields)...)
	return c
}

func (c zapCore) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return ce.AddCore(e, c)
	}
	return ce
}

func (c zapCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	level := c.level(e.Level)
	if e.Message == noVersionYet || e.Message == versionNotSet {
		level = slog.LevelDebug
	}
	c.log.Log(context.Background(), level, e.Message, attrs(fields)...)
	return nil
}

// What a new member says, as a warning and an error, until its first entry is
// on disk; it tries again by itself.
const (
	noVersionYet  = "Failed to detect schema version"
	versionNotSet = "failed to update storage version"
)

func (c zapCore) Sync() error { return nil }

func attrs(fields []zapcore.Field) []any {
	enc := zapcore.NewMapObjectEncoder()
	for _, f := range fields {
		f.AddTo(enc)
	}
	out := make([]any, 0, len(enc.Fields))
	for k, v := range enc.Fields {
		out = append(out, slog.Any(k, v))
	}
	return out
}
