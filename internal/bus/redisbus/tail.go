package redisbus

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"stripchart/internal/backoff"
	"stripchart/internal/bus"
	"stripchart/internal/bus/redislink"
	"stripchart/internal/bus/rw"
)

const (
	// block is how long a read waits in Redis. Behind each read the log is checked, so a
	// loss without an error is found within block.
	block = time.Second
	// One read returns at most maxRead entries and about readBytes.
	maxRead   = 256
	firstRead = 16
	readBytes = 2 << 20
)

// Tail implements bus.Bus. While Redis is away it waits. Returns redislink.ErrOldServer
// too. The results of at most three reads are in memory: one is being handled, one is
// being decoded, and one is between them.
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
	bus         *Bus
	client      *redislink.Client
	decoder     *rw.Decoder
	at          bus.Position // the newest entry that was passed on
	fingerprint string       // of the entry at at; empty: unknown, because another reader has read it
	started     bool         // at is an entry, not the beginning of the retained log
	count       int          // entries to ask for
	out         chan []bus.Delivery
}

// run reads until ctx ends or the position is lost.
func (r *reader) run(ctx context.Context) error {
	defer r.client.Leave()
	pause := newPause()
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
		pause.Wait(ctx)
	}
}

// session reads over one link until it fails.
//
// After each read, and before its entries are passed on, check looks whether the entry
// before the read is still there. XREAD alone would silently continue behind entries that
// are gone: trimmed because this reader is slow, deleted with the stream, or lost by the
// restore of an older dump. Trimming removes the oldest entries first. So if the entry
// before the read is there after the read, no entry between the two is missing. A read
// without entries ends after block, so that losses are found on an idle log too.
func (r *reader) session(ctx context.Context, pause *backoff.Backoff) error {
	l, err := r.bus.redis.Dial(ctx)
	if err != nil {
		return err
	}
	defer l.Close()
	defer context.AfterFunc(ctx, l.Close)()
	if err := r.check(ctx, l); err != nil {
		return err
	}
	for wait := time.Duration(-1); ; wait = block { // the first read does not wait: it proves that reading works
		entries, err := r.read(ctx, l, wait)
		if err != nil {
			return err
		}
		pause.Reset()
		r.client.Up()
		before := r.at.Epoch
		if err := r.check(ctx, l); err != nil {
			return err
		}
		if r.at.Epoch != before {
			continue // another log, of which nothing was passed on yet: read it from its beginning
		}
		if err := r.pass(ctx, entries); err != nil {
			return err
		}
	}
}

// check judges the position, and adopts the log's epoch before anything was passed on.
func (r *reader) check(ctx context.Context, l *redislink.Link) error {
	p := r.at
	if !r.started {
		p = bus.Position{}
	}
	epoch, err := r.bus.check(ctx, l, p, r.started, r.fingerprint)
	if err == nil {
		r.at.Epoch = epoch
	}
	return err
}

// read returns the next entries; none if none came within wait.
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

// pass decodes entries and sends them to Tail's goroutine, which calls the handler.
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
			// An entry in a foreign format must not stop the log. If it was a source's batch,
			// the hole in its sequence becomes a declared gap.
			r.bus.foreign(m.ID, err)
			batch = &bus.Batch{}
		} else if report.Lost() {
			r.bus.foreign(m.ID, errors.Join(append(report.Errors, errPartly)...))
		}
		r.at.Offset, r.started = offset, true
		if i == len(entries)-1 {
			r.fingerprint = fingerprint(m)
			r.bus.checkpoints.pass(r.at, r.fingerprint)
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
