package redisbus

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	trimEvery   = 5 * time.Second
	trimTimeout = 10 * time.Second
)

// trimming keeps the log within its bounds until ctx ends.
func (b *Bus) trimming(ctx context.Context) {
	t := time.NewTicker(trimEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		// Whoever else trims, or the next round, makes up for a round that failed, and
		// with tells of it.
		_ = b.trimOnce(ctx)
	}
}

// trimOnce takes out what is older than RetainAge, or beyond RetainBytes.
//
// The age is counted from the newest entry or this server's clock, whichever is
// earlier: by its own clock alone, a server whose clock is an hour ahead would
// erase the whole log (MINID takes what it is given). So the newest entry
// always stays.
func (b *Bus) trimOnce(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, trimTimeout)
	defer cancel()
	return b.with(ctx, func(l *link) error {
		newest, err := l.conn.XRevRangeN(ctx, b.logKey, "+", "-", 1).Result()
		if err != nil || len(newest) == 0 {
			b.metrics.logEntries.Set(0)
			return err
		}
		offset, err := parseID(newest[0].ID)
		if err != nil {
			return err
		}
		oldest := min(offset.Ms, b.now().UnixMilli()) - b.retainAge.Milliseconds()
		for oldest > 0 {
			n, err := l.conn.XTrimMinIDApprox(ctx, b.logKey, strconv.FormatInt(oldest, 10), 0).Result()
			if err != nil {
				return err
			}
			if b.metrics.trimmed.Add(float64(n)); n == 0 { // one call takes out a bounded number
				break
			}
		}
		return b.trimBytes(ctx, l)
	})
}

// trimBytes keeps the stream's memory within RetainBytes, in proportion to its
// entries, which are taken to be alike; the next round corrects what they are not.
func (b *Bus) trimBytes(ctx context.Context, l *link) error {
	entries, err := l.conn.XLen(ctx, b.logKey).Result()
	if err != nil {
		return err
	}
	bytes, err := l.conn.MemoryUsage(ctx, b.logKey, memorySamples).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return err
	}
	if bytes > b.retainBytes {
		keep := max(1, int64(float64(entries)*float64(b.retainBytes)/float64(bytes)))
		n, err := l.conn.XTrimMaxLenApprox(ctx, b.logKey, keep, 0).Result()
		if err != nil {
			return err
		}
		b.metrics.trimmed.Add(float64(n))
		entries -= n
	}
	b.metrics.logEntries.Set(float64(entries))
	b.metrics.logBytes.Set(float64(bytes))
	return nil
}

// memorySamples is how many nodes of the stream MEMORY USAGE measures.
const memorySamples = 100
