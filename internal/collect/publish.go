package collect

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"stripchart/internal/backoff"
	"stripchart/internal/bus"
)

// publisher moves batches from the queue to the bus, one at a time and in
// order.
type publisher struct {
	queue   *queue
	publish func(context.Context, *bus.Batch) error
	log     *slog.Logger
	metrics *metrics
}

// run publishes until the queue is closed and empty, or ctx has ended. The
// error, if any, is the last that Publish returned for a batch that is still
// in the queue.
func (p *publisher) run(ctx context.Context) error {
	var (
		lastErr error
		since   time.Time // when the episode of failures began
		tries   int       // failures in it
		pause   = backoff.Backoff{First: 100 * time.Millisecond, Max: 2 * time.Second}
		closing = p.queue.closed
	)
	for {
		b := p.queue.take(ctx)
		if b == nil {
			return lastErr
		}
		err := p.publish(ctx, b)
		switch {
		case err == nil:
			if tries > 0 {
				p.log.Info("publishing works again", "after", time.Since(since).Round(time.Millisecond), "failures", tries)
			}
			lastErr, tries = nil, 0
			pause.Reset()
			p.metrics.published.Inc()
			p.discard()
			continue
		case errors.Is(err, bus.ErrTooLarge):
			// The batch can never be published, and would block all later batches.
			p.log.Error("dropped a batch that the bus cannot take", "seq", b.Seq, "bytes", b.Size(), "err", err)
			p.metrics.dropped.Inc()
			p.discard()
			continue
		}
		p.queue.putBack()
		if ctx.Err() != nil {
			return err
		}
		if p.queue.isClosed() && errors.Is(err, bus.ErrClosed) {
			return err // the collector is stopping and the bus is closed: a retry would be useless
		}
		if tries == 0 {
			since = time.Now()
			p.log.Warn("a batch could not be published; it is kept and tried again", "seq", b.Seq, "err", err)
		}
		lastErr = err
		tries++
		p.metrics.failures.Inc()
		timer := time.NewTimer(pause.Next())
		select {
		case <-timer.C:
		case <-closing:
			// The collector is stopping: try at once, and then often until drainTime is over.
			closing = nil
			pause.Reset()
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// discard removes the batch in flight from the queue, and reports the end of
// an episode of dropping.
func (p *publisher) discard() {
	if lost := p.queue.done(); lost > 0 {
		p.log.Warn("the queue is empty again; the batches dropped meanwhile are a gap", "dropped", lost)
	}
}
