package apply

import (
	"context"
	"errors"
	"fmt"
	"time"

	"stripchart/internal/backoff"
	"stripchart/internal/bus"
	"stripchart/internal/store"
)

// What has to succeed is tried until it does.

// newPause returns the pause between two attempts at what has to succeed: a commit of a batch that
// its source was told is in the log, a bus that is away.
func newPause() backoff.Backoff {
	return backoff.Backoff{First: 100 * time.Millisecond, Max: time.Second}
}

// try calls f, until it succeeds where the log keeps the batch. f may open the store again,
// which may find damage.
func (x *applier) try(ctx context.Context, a *application, f func() error) error {
	err := f()
	x.tellDamage()
	for pause := newPause(); a.delivery.Kept && isFailure(err); {
		if !a.failed {
			a.failed = true
			x.log.Error("a batch could not be recorded; trying until it can", "position", a.delivery.Position.String(), "err", err)
		}
		if !pause.Wait(ctx) {
			return ctx.Err()
		}
		err = f()
		x.tellDamage()
	}
	return err
}

// isFailure reports whether a commit may succeed another time.
func isFailure(err error) bool { return err != nil && !errors.Is(err, store.ErrInvalidSeries) }

// reopen calls ask. When the store is not available, reopen makes an empty Append, because only an
// Append opens the store again; otherwise the failing look-up would prevent the first Append for ever.
func (c *acceptor) reopen(ask func() error) error {
	err := ask()
	if errors.Is(err, store.ErrUnavailable) && c.store.Append(nil) == nil {
		err = ask()
	}
	return err
}

// logEnd returns the log's end. A bus that outlives this process may be away for
// a while: it is waited for.
func (f *Follower) logEnd(ctx context.Context) (bus.Position, error) {
	told := false
	for pause := newPause(); ; {
		end, err := f.bus.End(ctx)
		if err == nil || !f.o.Replica || errors.Is(err, bus.ErrClosed) || errors.Is(err, bus.ErrUnusable) {
			if err != nil {
				err = fmt.Errorf("find the log's end: %w", err)
			}
			if told && err == nil {
				f.log.Info("the bus is there")
			}
			return end, err
		}
		if !told && ctx.Err() == nil {
			told = true
			f.log.Warn("the bus is away; waiting for it", "err", err)
		}
		if !pause.Wait(ctx) {
			return end, ctx.Err()
		}
	}
}
