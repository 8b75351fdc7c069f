package store

import (
	"context"
	"log/slog"
	"slices"
	"sync/atomic"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// zapLogger speaks zap, which etcd logs with, to log: from warnings on, and
// until muted is set.
func zapLogger(log *slog.Logger, muted *atomic.Bool) *zap.Logger {
	return zap.New(zapCore{log: log.With("component", "etcd"), muted: muted})
}

// unripe are complaints of a new member about itself in its first 100 ms, until
// it has written its first batch. It tries again by itself.
var unripe = []string{"Failed to detect schema version", "failed to update storage version"}

type zapCore struct {
	log   *slog.Logger
	muted *atomic.Bool
}

func (c zapCore) Enabled(l zapcore.Level) bool { return l >= zapcore.WarnLevel && !c.muted.Load() }

func (c zapCore) With(fields []zapcore.Field) zapcore.Core {
	return zapCore{log: c.log.With(attrs(fields)...), muted: c.muted}
}

func (c zapCore) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) && !slices.Contains(unripe, e.Message) {
		return ce.AddCore(e, c)
	}
	return ce
}

func (c zapCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	level := slog.LevelWarn
	if e.Level > zapcore.WarnLevel {
		level = slog.LevelError
	}
	c.log.Log(context.Background(), level, e.Message, attrs(fields)...)
	return nil
}

func (c zapCore) Sync() error { return nil }

func attrs(fields []zapcore.Field) []any {
	encoder := zapcore.NewMapObjectEncoder()
	for _, f := range fields {
		f.AddTo(encoder)
	}
	list := make([]any, 0, len(encoder.Fields))
	for key, value := range encoder.Fields {
		list = append(list, slog.Any(key, value))
	}
	return list
}
