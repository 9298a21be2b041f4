package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"

	"stripchart/internal/sdnotify"
)

// logger writes events to w, a line each, and of each kind no more than a reader can read.
func (o *options) logger(w io.Writer) *slog.Logger {
	return slog.New(newCalm(o.logHandler(w, w == os.Stderr && sdnotify.StderrIsJournal())))
}

// logHandler is the handler of logger. The journal of systemd is told each event's
// level, and is not told the time, which it has, unless the lines are for machines.
func (o *options) logHandler(w io.Writer, inJournal bool) slog.Handler {
	var level slog.Level
	_ = level.UnmarshalText([]byte(o.LogLevel)) // kong has checked it
	isText := o.LogFormat != "json"
	h := &slog.HandlerOptions{Level: level, ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		switch {
		case inJournal && isText && a.Key == slog.TimeKey && len(groups) == 0:
			return slog.Attr{}
		case a.Key == "stack": // of a fault of ours: as long as it is
		case a.Value.Kind() == slog.KindString && len(a.Value.String()) > maxLogged:
			a.Value = slog.StringValue(cutShort(a.Value.String()))
		case a.Value.Kind() == slog.KindAny:
			if err, ok := a.Value.Any().(error); ok && err != nil {
				if text := err.Error(); len(text) > maxLogged {
					a.Value = slog.StringValue(cutShort(text))
				}
			}
		case a.Value.Kind() == slog.KindDuration:
			a.Value = slog.StringValue(a.Value.Duration().String()) // JSON would have nanoseconds without a unit
		}
		return a
	}}
	out := &leveled{w: w}
	if inJournal {
		w = out
	}
	var to slog.Handler = slog.NewJSONHandler(w, h)
	if isText {
		to = slog.NewTextHandler(w, h)
	}
	if inJournal {
		return journalHandler{to, out}
	}
	return to
}

// journalHandler puts before each line what systemd takes for its level, so that
// `journalctl -p warning` finds it: see sd-daemon(3).
type journalHandler struct {
	slog.Handler
	out *leveled // where Handler writes, a line at a time
}

func (h journalHandler) Handle(ctx context.Context, r slog.Record) error {
	h.out.mu.Lock()
	defer h.out.mu.Unlock()
	h.out.level = r.Level
	return h.Handler.Handle(ctx, r)
}

func (h journalHandler) WithAttrs(as []slog.Attr) slog.Handler {
	return journalHandler{h.Handler.WithAttrs(as), h.out}
}

func (h journalHandler) WithGroup(name string) slog.Handler {
	return journalHandler{h.Handler.WithGroup(name), h.out}
}

// leveled writes lines of a level.
type leveled struct {
	w     io.Writer
	mu    sync.Mutex // guards level, from before a line to after it
	level slog.Level
}

// Write is called with mu held.
func (l *leveled) Write(line []byte) (int, error) {
	priority := 7 // of syslog(3): debug
	switch {
	case l.level >= slog.LevelError:
		priority = 3
	case l.level >= slog.LevelWarn:
		priority = 4
	case l.level >= slog.LevelInfo:
		priority = 6
	}
	if _, err := l.w.Write(fmt.Appendf(nil, "<%d>%s", priority, line)); err != nil {
		return 0, err
	}
	return len(line), nil
}
