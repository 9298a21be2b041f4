package store

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
)

// databaseLog hands tsdb's records on, its progress at debug level: it tells at
// info level what it does at every start and every two hours.
type databaseLog struct {
	slog.Handler
	// told sends warnings to debug level too: while the database opens behind a
	// repair, they are consequences of what the user was told already.
	told *atomic.Bool
}

func newDatabaseLog(l *slog.Logger) *databaseLog {
	return &databaseLog{Handler: l.With("part", "tsdb").Handler(), told: new(atomic.Bool)}
}

func (h *databaseLog) level(l slog.Level) slog.Level {
	if l < slog.LevelWarn || l < slog.LevelError && h.told.Load() {
		return slog.LevelDebug
	}
	return l
}

func (h *databaseLog) Enabled(ctx context.Context, l slog.Level) bool {
	return h.Handler.Enabled(ctx, h.level(l))
}

// overlapping is what tsdb warns of each time that it looks at the blocks, with a long
// list, while late samples have a block of their own. They are meant to.
const overlapping = "Overlapping blocks found"

func (h *databaseLog) Handle(ctx context.Context, r slog.Record) error {
	r.Level = h.level(r.Level)
	if strings.HasPrefix(r.Message, overlapping) {
		r.Level = slog.LevelDebug
	}
	if !h.Handler.Enabled(ctx, r.Level) {
		return nil
	}
	return h.Handler.Handle(ctx, r)
}

func (h *databaseLog) WithAttrs(as []slog.Attr) slog.Handler {
	return &databaseLog{Handler: h.Handler.WithAttrs(as), told: h.told}
}

func (h *databaseLog) WithGroup(name string) slog.Handler {
	return &databaseLog{Handler: h.Handler.WithGroup(name), told: h.told}
}
