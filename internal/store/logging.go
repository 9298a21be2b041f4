package store

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/tsdb/wlog"
)

// databaseLog hands tsdb's records on, its progress at debug level: it tells at
// info level what it does at every start and every two hours. While the
// database opens, warnings and errors are held back, because whether they are
// one repair, and so one warning, is known only afterwards.
type databaseLog struct {
	slog.Handler
	held *heldRecords // shared by all handlers derived from one
}

// heldRecords are what tsdb said while it opened, and the damage it spoke of.
type heldRecords struct {
	mu      sync.Mutex // guards what follows
	open    bool       // opening is over, records pass
	records []heldRecord
	logs    []logDamage
	chunks  []*chunks.CorruptionErr
}

// logDamage is where one of the two write logs could not be read.
type logDamage struct {
	log string // walDir or wblDir
	err *wlog.CorruptionErr
}

type heldRecord struct {
	to slog.Handler
	r  slog.Record
}

func newDatabaseLog(l *slog.Logger) *databaseLog {
	return &databaseLog{Handler: l.With("part", "tsdb").Handler(), held: &heldRecords{}}
}

func (h *databaseLog) Enabled(ctx context.Context, level slog.Level) bool {
	// Warnings are always looked at: damage shows only there.
	return level >= slog.LevelWarn || h.Handler.Enabled(ctx, slog.LevelDebug)
}

func (h *databaseLog) Handle(ctx context.Context, r slog.Record) error {
	if r.Level < slog.LevelWarn {
		r.Level = slog.LevelDebug
	} else if h.held.hold(h.Handler, r) {
		return nil
	}
	if !h.Handler.Enabled(ctx, r.Level) {
		return nil
	}
	return h.Handler.Handle(ctx, r)
}

func (h *databaseLog) WithAttrs(as []slog.Attr) slog.Handler {
	return &databaseLog{Handler: h.Handler.WithAttrs(as), held: h.held}
}

func (h *databaseLog) WithGroup(name string) slog.Handler {
	return &databaseLog{Handler: h.Handler.WithGroup(name), held: h.held}
}

// hold keeps r while the database opens, and notes the damage among its
// attributes: the errors themselves, not their words.
func (h *heldRecords) hold(to slog.Handler, r slog.Record) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.open {
		return false
	}
	r.Attrs(func(a slog.Attr) bool {
		err, ok := a.Value.Any().(error)
		if !ok {
			return true
		}
		if c, ok := errors.AsType[*wlog.CorruptionErr](err); ok {
			h.logs = append(h.logs, logDamage{logOf(c, r.Message), c})
		}
		if c, ok := errors.AsType[*chunks.CorruptionErr](err); ok {
			h.chunks = append(h.chunks, c)
		}
		return true
	})
	h.records = append(h.records, heldRecord{to, r.Clone()})
	return true
}

// release lets records pass from now on. Those held until now are handed on as
// they are, or at debug level when the caller has told their story already.
func (h *heldRecords) release(told bool) {
	h.mu.Lock()
	records := h.records
	h.records, h.open = nil, true
	h.mu.Unlock()
	for _, held := range records {
		if told {
			held.r.Level = slog.LevelDebug
		}
		if ctx := context.Background(); held.to.Enabled(ctx, held.r.Level) {
			_ = held.to.Handle(ctx, held.r) // nobody to tell, as in package slog
		}
	}
}
