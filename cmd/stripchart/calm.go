package main

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"
)

const (
	// linesAtOnce and linesEvery bound the lines with one message: linesAtOnce in a burst, then one
	// every linesEvery. A stranger can cause log lines with every request; without a bound a single
	// connection filled a disk with 60 GB a day.
	linesAtOnce = 10
	linesEvery  = time.Second
	// maxLogged is the length of a text in a line, in bytes: queries of strangers are
	// quoted in some.
	maxLogged = 1000
	// maxKinds bounds the messages that are told apart. The program's own are constants.
	maxKinds = 1000
)

// leftOut is the attribute that says how many lines with the same message, before
// this one, were not written.
const leftOut = "left_out"

// calm limits the rate of lines with the same message. Lines below level info are not limited, because
// a user who asks for them wants every one.
type calm struct {
	slog.Handler
	kinds *kinds
}

type kinds struct {
	mu sync.Mutex // guards of
	of map[string]*kind
}

// kind is a message. Its lines are spaced as if each took linesEvery.
type kind struct {
	busyUntil time.Time
	leftOut   int
}

func newCalm(h slog.Handler) slog.Handler { return calm{h, &kinds{of: map[string]*kind{}}} }

func (c calm) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelInfo {
		n, ok := c.kinds.allow(r.Message, r.Time)
		if !ok {
			return nil
		}
		if n > 0 {
			r = r.Clone()
			r.AddAttrs(slog.Int(leftOut, n))
		}
	}
	return c.Handler.Handle(ctx, r)
}

func (c calm) WithAttrs(as []slog.Attr) slog.Handler { return calm{c.Handler.WithAttrs(as), c.kinds} }
func (c calm) WithGroup(name string) slog.Handler    { return calm{c.Handler.WithGroup(name), c.kinds} }

// allow reports whether a line with message may be written at now, and how many were
// left out since the last that was.
func (k *kinds) allow(message string, now time.Time) (left int, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	of := k.of[message]
	if of == nil {
		if len(k.of) >= maxKinds {
			clear(k.of)
		}
		of = &kind{}
		k.of[message] = of
	}
	if of.busyUntil.Before(now) {
		of.busyUntil = now
	}
	if of.busyUntil.Sub(now) > (linesAtOnce-1)*linesEvery {
		of.leftOut++
		return 0, false
	}
	of.busyUntil = of.busyUntil.Add(linesEvery)
	left, of.leftOut = of.leftOut, 0
	return left, true
}

// cutShort returns the beginning of a text that is too long for a line.
func cutShort(s string) string { return strings.ToValidUTF8(s[:maxLogged], "") + "…" }
