package redisbus

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"stripchart/internal/bus"
	"stripchart/internal/bus/redislink"
	"stripchart/internal/bus/rw"
)

const (
	// block is how long a read waits in Redis. When it runs out the link is
	// checked, so a loss that says nothing is found within it.
	block = time.Second
	// One read returns at most maxRead entries and about readBytes.
	maxRead   = 256
	firstRead = 16
	readBytes = 2 << 20
)

// Tail implements bus.Bus. While Redis is away it waits until it is back.
// Returns ErrOldServer too. At most three reads are in memory at a time: one
// that is handled, one that is decoded, and one between them.
func (b *Bus) Tail(ctx context.Context, from bus.Position, handle func(bus.Delivery) error) error {
	ctx, leave, err := b.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	ctx, cancel := context.WithCancelCause(ctx)
	r := &reader{
		bus: b, client: b.redis.Client(), decoder: rw.NewDecoder(rw.Kept()),
		at: from, started: !from.IsZero(), count: firstRead, out: make(chan []bus.Delivery, 1),
	}
	ended := make(chan error, 1)
	go func() {
		defer close(r.out)
		ended <- r.run(ctx)
	}()
	for deliveries := range r.out {
		for _, d := range deliveries {
			if ctx.Err() != nil {
				break
			}
			if err := handle(d); err != nil {
				cancel(err)
			}
		}
	}
	err = <-ended
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	cancel(nil)
	return err
}

// reader reads and decodes ahead of the handler.
type reader struct {
	bus     *Bus
	client  *redislink.Client
	decoder *rw.Decoder
	at      bus.Position // the newest entry that was passed on
	mark    string       // of the entry there; empty: not known, since it was read by somebody before
	started bool         // at is a place in the log, not "the beginning of what is retained"
	count   int          // entries to ask for
	out     chan []bus.Delivery
}

// run reads until ctx ends or the position is lost.
func (r *reader) run(ctx context.Context) error {
	defer r.client.Leave()
	var pause backoff
	for {
		err := r.session(ctx, &pause)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, bus.ErrPositionLost):
			r.bus.metrics.lost.Inc()
			return err
		case errors.Is(err, redislink.ErrOldServer), errors.Is(err, errForeignID):
			return err
		}
		r.client.Down(err)
		pause.wait(ctx)
	}
}

// session reads over one link until it fails.
//
// After each read, and before its entries are passed on, check looks whether the
// entry that was read last is still there. XREAD alone would go on behind
// anything that is gone: entries that were trimmed because this reader is slow,
// and those of a stream that was deleted, or restored from an older dump.
// Trimming takes the oldest first, so as long as the entry before the read is
// there afterwards, nothing between it and the read was missing. An idle read
// ends after block, so the same check finds what happens while nothing comes.
func (r *reader) session(ctx context.Context, pause *backoff) error {
	l, err := r.bus.redis.Dial(ctx)
	if err != nil {
		return err
	}
	defer l.Close()
	defer context.AfterFunc(ctx, l.Close)()
	if err := r.check(ctx, l); err != nil {
		return err
	}
	for wait := time.Duration(-1); ; wait = block { // the first does not wait: it shows that reading works
		entries, err := r.read(ctx, l, wait)
		if err != nil {
			return err
		}
		*pause = backoff{}
		r.client.Up()
		before := r.at.Epoch
		if err := r.check(ctx, l); err != nil {
			return err
		}
		if r.at.Epoch != before {
			continue // nothing was passed on yet, and this is another log: from its beginning
		}
		if err := r.pass(ctx, entries); err != nil {
			return err
		}
	}
}

// check judges the position and, before anything was passed on, adopts the log's
// epoch.
func (r *reader) check(ctx context.Context, l *redislink.Link) error {
	p := r.at
	if !r.started {
		p = bus.Position{}
	}
	epoch, err := r.bus.check(ctx, l, p, r.started, r.mark)
	if err == nil {
		r.at.Epoch = epoch
	}
	return err
}

// read returns the next entries, none when none came within wait.
func (r *reader) read(ctx context.Context, l *redislink.Link, wait time.Duration) ([]redis.XMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, block+r.bus.redis.ReadTimeout())
	defer cancel()
	streams, err := l.Conn.XRead(ctx, &redis.XReadArgs{
		Streams: []string{r.bus.logKey, formatID(r.at.Offset)}, Count: int64(r.count), Block: wait,
	}).Result()
	if errors.Is(err, redis.Nil) || err == nil && len(streams) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return streams[0].Messages, nil
}

// pass decodes entries and hands them to the handler's side.
func (r *reader) pass(ctx context.Context, entries []redis.XMessage) error {
	if len(entries) == 0 {
		return nil
	}
	deliveries := make([]bus.Delivery, len(entries))
	bytes := 0
	for i, m := range entries {
		offset, err := parseID(m.ID)
		if err != nil {
			return errors.Join(errForeignID, err)
		}
		batch, report, err := readEntry(r.decoder, m)
		if err != nil {
			// The log goes on. Its samples are not ours to read; if they were a source's,
			// the jump of its sequence is declared as a gap.
			r.bus.foreign(m.ID, err)
			batch = &bus.Batch{}
		} else if report.Lost() {
			r.bus.foreign(m.ID, errors.Join(append(report.Errors, errPartly)...))
		}
		r.at.Offset, r.started = offset, true
		if i == len(entries)-1 {
			r.mark = mark(m)
			r.bus.trail.pass(r.at, r.mark)
		}
		deliveries[i] = bus.Delivery{Batch: batch, Position: r.at, Done: func(error) {}, Kept: true}
		if s, ok := m.Values[fieldBatch].(string); ok {
			bytes += len(s)
		}
	}
	r.count = min(max(readBytes/(1+bytes/len(entries)), 1), maxRead)
	select {
	case r.out <- deliveries:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
